/**
 * The same fold, written in Rust over the crate `tidelog-client` (`tests/bench/rust-fold`). `npm run bench` builds it and
 * serves it beside this page; elsewhere it is not there.
 */
import { type Digest, digestOf } from "../loan.ts";
import { loadServed } from "./served.ts";

interface Module {
  default(): Promise<unknown>;
  /** Opens the database of this log and folds it. */
  open(log: string): Promise<Opened>;
}

interface Opened {
  /** One application at a time, as JSON: `[key, loan]`. */
  rows(): string;
}

export interface RustFold {
  open(log: string): Promise<{ readonly ms: number; digest(): Digest }>;
}

/** Loads the module. Throws where nobody serves it. */
export async function loadRustFold(): Promise<RustFold> {
  const module = await loadServed<Module>("/bench/rust-fold/rust_fold.js", "the Rust fold");
  return {
    async open(log) {
      const start = performance.now();
      // Compiling and making the module is part of a cold open, as it is of the package's.
      await module.default();
      const opened = await module.open(log);
      const ms = performance.now() - start;
      return { ms, digest: () => digestOf(JSON.parse(opened.rows())) };
    },
  };
}
