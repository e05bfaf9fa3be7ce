/** The page's log, for the browser's console: see "In the console" of www/README.md. */
import type { LogMembers } from "tidelog";

declare global {
  interface Window {
    /** The log that this page shows. */
    tidelog?: LogMembers;
  }
}

export function offerInConsole(log: LogMembers): void {
  window.tidelog = log;
}
