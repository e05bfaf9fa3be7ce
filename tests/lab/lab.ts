/** A page without a user interface: tests make logs on it with any options, by `page.evaluate`. */
import * as tidelog from "tidelog";
import { counterOf } from "./counter.ts";
import { KillPage } from "./kill.ts";

const lab = { ...tidelog, counterOf, kill: new KillPage() };

declare global {
  interface Window {
    /** The package and the lab's own definitions. */
    readonly lab: typeof lab;
  }
}

Object.assign(window, { lab });
