/** A page without a user interface: tests make logs on it with any options, by `page.evaluate`. */
import * as tidelog from "tidelog";
import { type Counted, counterOf } from "./counter.ts";
import * as disk from "./disk.ts";
import { KillPage } from "./kill.ts";

export interface LabOptions {
  /** Without it the log stays on the device. */
  readonly url?: string;
  /** Version of the fold; 1 unless given. */
  readonly fold?: number;
  readonly user?: string;
}

/** One stream as a test compares it. */
export interface CounterRow {
  readonly key: string;
  readonly version: number;
  readonly count: number;
  readonly sum: number;
}

class Lab {
  readonly tidelog = tidelog;
  readonly counterOf = counterOf;
  readonly disk = disk;
  readonly kill = new KillPage();
  #log: ReturnType<typeof logOf> | undefined;

  /** Makes the page's log; it opens at its first use. */
  make(options: LabOptions = {}): void {
    this.#log = logOf(options);
  }

  get log(): ReturnType<typeof logOf> {
    if (this.#log === undefined) throw new Error("make() comes first");
    return this.#log;
  }

  /** Appends `count` commits of one event each to a stream; the tags go on from its version. Durable when it returns. */
  async add(key: string, count = 1): Promise<readonly string[]> {
    const handle = this.log.counter(key);
    const receipts = Array.from({ length: count }, () =>
      handle.count({ tag: `${key}-${handle.version + 1}`, part: 1, of: 1 }),
    );
    await Promise.all(receipts.map(({ durable }) => durable));
    return receipts.map(({ id }) => id);
  }

  /** Every row, by key. */
  rows(): readonly CounterRow[] {
    const rows = this.log.rows(this.log.definition).getSnapshot();
    return rows
      .map(({ key, version, state }) => ({ key, version, ...state }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** What a test compares of the status. */
  status() {
    const { error, ...status } = this.log.status.getSnapshot();
    return { ...status, ...(error ? { error: { code: error.code } } : {}) };
  }

  /** The code of what a call throws or rejects with; undefined if it works. */
  async codeOf(call: () => unknown): Promise<string | undefined> {
    try {
      await call();
      return undefined;
    } catch (thrown) {
      return thrown instanceof tidelog.TidelogError ? thrown.code : String(thrown);
    }
  }
}

function logOf({ url, fold = 1, user }: LabOptions) {
  const definition = counterOf(fold);
  const log = tidelog.createLog({
    name: "lab",
    streams: { counter: definition },
    ...(user === undefined ? {} : { user }),
    ...(url === undefined ? {} : { sync: { url } }),
  });
  return Object.assign(log, { definition });
}

export type { Counted };

declare global {
  interface Window {
    readonly lab: Lab;
  }
}

Object.assign(window, { lab: new Lab() });
