/** A page without a user interface: tests make logs on it with any options, by `page.evaluate`. */

import type { ExportOptions, ImportResult, Log, RecordedEvent } from "tidelog";
import * as tidelog from "tidelog";
import { type Counted, counterOf, laterCounter } from "./counter.ts";
import * as disk from "./disk.ts";
import { KillPage } from "./kill.ts";
import { shop } from "./shop.ts";

export interface LabOptions {
  /** Without it the log stays on the device. */
  readonly url?: string;
  /** Version of the fold; 1 unless given. */
  readonly fold?: number;
  /** A later build of the app, which has an event more. */
  readonly later?: boolean;
  readonly user?: string;
  readonly snapshots?: boolean;
  readonly retain?: { readonly newest: number };
  readonly takeOverAfter?: number;
  /** Syncs only the counters with these keys. */
  readonly only?: readonly string[];
  /** The token that the page holds is `lab.token`; one that was refused is fetched anew from here. */
  readonly tokenFrom?: string;
}

/** What a page read of an event. */
export interface ReadEvent {
  readonly position?: number;
  readonly version: number;
  readonly stream: string;
  readonly commitId: string;
  readonly tag: string;
}

/** One stream as a test compares it. */
export interface CounterRow {
  readonly key: string;
  readonly version: number;
  readonly count: number;
  readonly sum: number;
}

class Lab {
  /** What a page with `tokenFrom` sends. */
  token: string | undefined;
  readonly tidelog = tidelog;
  readonly counterOf = counterOf;
  readonly disk = disk;
  readonly kill = new KillPage();
  readonly #shops = new Map<string, ReturnType<typeof shopOf>>();
  #log: ReturnType<typeof logOf> | undefined;

  /** Makes the page's log; it opens at its first use. */
  make(options: LabOptions = {}): void {
    this.#log = logOf(options);
  }

  get log(): ReturnType<typeof logOf> {
    if (this.#log === undefined) throw new Error("make() comes first");
    return this.#log;
  }

  /** The log of a shop; the same for the same user. */
  shop(user: string, url: string): ReturnType<typeof shopOf> {
    const log = this.#shops.get(user) ?? shopOf(user, url);
    this.#shops.set(user, log);
    return log;
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

  /** Appends an event that only a later build knows. */
  async double(key: string): Promise<string> {
    const { counter } = this.log as unknown as Log<{ counter: typeof laterCounter }>;
    const handle = counter(key);
    const receipt = handle.double({ tag: `${key}-${handle.version + 1}`, part: 1, of: 1 });
    await receipt.durable;
    return receipt.id;
  }

  /** Imports events as `add` would have made them, with payloads of about `size` bytes each. */
  bulk(keys: readonly string[], count: number, size = 100): Promise<ImportResult> {
    const filler = Array.from({ length: size }, (_, i) => String.fromCharCode(97 + (i % 26)));
    const time = new Date(1_700_000_000_000).toISOString();
    const lines = function* () {
      for (let version = 1; version <= count; version += 1) {
        for (const key of keys) {
          const data = { tag: `${key}-${version}`, part: 1, of: 1, filler: filler.join("") };
          const stream = `counter/${key}`;
          yield `${JSON.stringify({ stream, version, type: "counter.counted", time, data })}\n`;
        }
      }
    };
    return this.log.import(new Blob([...lines()]));
  }

  /** Opens the log; gives how many events were folded for it. */
  async openCounting(options: LabOptions): Promise<number> {
    this.make(options);
    let folded = 0;
    const stop = this.log.status.subscribe(({ replayed }) => {
      folded = Math.max(folded, replayed?.done ?? 0);
    });
    await this.log.ready();
    stop();
    return folded;
  }

  /** Reads a reader to its end. */
  async collect(reader: AsyncIterable<RecordedEvent>): Promise<readonly ReadEvent[]> {
    const events: ReadEvent[] = [];
    for await (const { position, version, stream, commitId, data } of reader) {
      const place = position === undefined ? {} : { position };
      events.push({ ...place, version, stream, commitId, tag: (data as Counted).tag });
    }
    return events;
  }

  /** The whole of an export. */
  async exported(options?: ExportOptions): Promise<Uint8Array> {
    return new Uint8Array(await new Response(this.log.export(options)).arrayBuffer());
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

/** As an app does: one that is kept is given, unless it was refused. */
async function tokenFrom(url: string, refresh: boolean): Promise<string | undefined> {
  if (refresh) {
    const answer = await fetch(url, { cache: "no-store" });
    window.lab.token = answer.ok ? await answer.text() : undefined;
  }
  return window.lab.token;
}

function logOf({ url, fold = 1, later, user, snapshots, retain, ...options }: LabOptions) {
  const definition = later ? (laterCounter as ReturnType<typeof counterOf>) : counterOf(fold);
  const log = tidelog.createLog({
    name: "lab",
    streams: { counter: definition },
    ...(user === undefined ? {} : { user }),
    ...(snapshots === undefined ? {} : { snapshots }),
    ...(retain === undefined ? {} : { retain }),
    ...(url === undefined ? {} : { sync: syncOf(url, options) }),
  });
  return Object.assign(log, { definition });
}

function shopOf(user: string, url: string) {
  return tidelog.createLog({ name: "lab", user, streams: shop, sync: { url } });
}

function syncOf(url: string, { takeOverAfter, only, tokenFrom: source }: LabOptions) {
  return {
    url,
    ...(only === undefined
      ? {}
      : { only: { streams: only.map((key) => `counter/${key}` as const) } }),
    ...(takeOverAfter === undefined ? {} : { takeOverAfter }),
    ...(source === undefined
      ? {}
      : { token: ({ refresh }: { refresh: boolean }) => tokenFrom(source, refresh) }),
  };
}

export type { Counted };

declare global {
  interface Window {
    readonly lab: Lab;
  }
}

Object.assign(window, { lab: new Lab() });
