import { useState, useSyncExternalStore } from "react";
import type { LogMembers } from "tidelog";
import { useStatus } from "tidelog/react";
import type { OfflineShell } from "../service-worker/register.ts";
import { statusToRetry, statusToWords } from "./status.ts";

/** One line: where the log stands, and whether the page itself has a newer version. */
export function StatusLine({ log, shell }: { log: LogMembers; shell: OfflineShell }) {
  const status = useStatus(log);
  const offline = useSyncExternalStore(shell.subscribe, shell.getSnapshot);
  const [updating, setUpdating] = useState(false);
  const words = statusToWords(status);
  const retry = statusToRetry(status);
  // Numbers that run would be read aloud without end.
  const running =
    status.phase === "opening" || status.phase === "connecting" || status.phase === "catching-up";
  return (
    <div className="status-bar">
      <p
        className="status-line"
        role="status"
        aria-live={running ? "off" : "polite"}
        data-phase={status.phase}
      >
        <span className="status-dot" aria-hidden="true" />
        <span>{words}</span>
      </p>
      {retry !== undefined && <p className="status-retry">{retry}</p>}
      {log.user !== "anonymous" && <p className="status-user">as {log.user}</p>}
      {offline === "update" && (
        <button
          type="button"
          className="status-update"
          disabled={updating}
          onClick={() => {
            setUpdating(true);
            shell.update();
          }}
        >
          {updating ? "Updating…" : "New version: reload"}
        </button>
      )}
    </div>
  );
}
