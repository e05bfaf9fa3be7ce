/** The public interface of a log. */
import type { AnyCommand, Projection, Sides, StateOf, StreamDefinition } from "./define.js";
import type {
  EventMeta,
  Expected,
  Live,
  ParkedCommit,
  Policy,
  RawEvent,
  Receipt,
  RecordedEvent,
  Row,
  RowQuery,
  Status,
  StorageInfo,
} from "./types.js";

/** Stream definitions by kind. */
export type Streams = { readonly [kind: string]: StreamDefinition };

/** What `createLog` takes. */
export interface LogOptions<Defs extends Streams> {
  /** The log's name. */
  readonly name: string;
  /** The signed-in user; one database per log and user. Default `"anonymous"`. */
  readonly user?: string | undefined;
  /** Each property is named as its definition's kind. */
  readonly streams: Defs;
  /** Without it the log stays on this device. */
  readonly sync?:
    | {
        /** E.g. `/v1/logs/todos`. */
        readonly url: string;
        /**
         * The token of whoever is signed in, sent as a bearer token; asked before each request. With `refresh` the server
         * has refused the last one, so one that was kept will not do; if there is no other, the log is `blocked` until
         * one is there, somebody looks at the page, or `log.syncNow()`. If it rejects, say because the network is down, the
         * log is offline and tries again.
         */
        readonly token?: (ask: {
          readonly refresh: boolean;
        }) => string | undefined | Promise<string | undefined>;
        /**
         * Syncs a part of the log only: these kinds, and these streams of other kinds. What is left out is unknown here: it
         * has no rows, takes no commands and no condition holds on it (`outside_filter`); a read of one stream asks the
         * server. Another part than the last time is read from the server before it takes the place of the first:
         * see `status.nextOnly`. Of several tabs the one that was opened last decides. Default: everything.
         */
        readonly only?:
          | {
              readonly kinds?: readonly (keyof Defs & string)[] | undefined;
              readonly streams?: readonly `${keyof Defs & string}/${string}`[] | undefined;
            }
          | undefined;
        /**
         * How long, in milliseconds, the tab that talks to the server may give no sign of life, as one that is frozen
         * does, before another tab takes over. Default 15,000.
         */
        readonly takeOverAfter?: number | undefined;
      }
    | undefined;
  /**
   * How much of the confirmed log to keep on this device; older events are fetched from the server when they are
   * read. Anything but `"all"` (the default) needs `sync`. Snapshots cover what is left out, so rows do not change.
   */
  readonly retain?: "all" | { readonly newest: number } | { readonly since: Date } | undefined;
  /** `false`: folds are built from the log at each opening, and no snapshot of them is kept. Default `true`. */
  readonly snapshots?: boolean | undefined;
  /**
   * Asking the browser not to evict this site's data. `"auto"` (the default) asks after the first commit of a visit
   * is stored, where that shows no prompt: in Chromium and Safari, or if it was granted already. In Firefox,
   * which prompts, and with `"manual"`, only `log.storage.persist()` asks: call it when the user does something
   * that explains the question.
   */
  readonly persist?: "auto" | "manual" | undefined;
  /** For pending commits, the only copy on earth. Default `"strict"`: survives power loss. */
  readonly durability?: "strict" | "relaxed" | undefined;
  /** Another source of the wasm module than the package's own file. */
  readonly wasm?: WasmSource | undefined;
}

/** Where the wasm module's bytes come from. */
export type WasmSource =
  | URL
  | Response
  | BufferSource
  | WebAssembly.Module
  | Promise<URL | Response | BufferSource | WebAssembly.Module>;

/** The commands of a definition as calls that give receipts. */
export type CommandsOf<Def> =
  Def extends StreamDefinition<string, infer _, infer Commands>
    ? { readonly [Name in keyof Commands]: CommandCall<Commands[Name]> }
    : never;

type CommandCall<Command> = Command extends (
  state: infer _S,
  args: infer Args,
  context: infer _C,
) => unknown
  ? [Args] extends [never]
    ? () => Receipt
    : unknown extends Args
      ? () => Receipt
      : undefined extends Args
        ? (args?: Args) => Receipt
        : (args: Args) => Receipt
  : Command extends AnyCommand
    ? () => Receipt
    : never;

/** One stream of a log: its state now, and its commands. */
export type StreamHandle<Def> = {
  readonly key: string;
  /** `kind/key` */
  readonly stream: string;
  /** Shown state; `initial` while the stream does not exist. */
  readonly state: StateOf<Def>;
  /** Shown version; 0 while the stream does not exist. */
  readonly version: number;
  /** The same commands, which conflict if the stream is no longer at the version that the user saw. */
  seen(version: number): CommandsOf<Def>;
  /** The full history: confirmed, then pending. */
  history(options?: HistoryOptions): Promise<readonly RecordedEvent[]>;
  /** The same event by event; see `log.readStream`. */
  read(options?: ReadStreamOptions): AsyncIterableIterator<RecordedEvent>;
  /** Events outside any command. */
  append(
    events: readonly Omit<RawEvent, "stream">[],
    options?: AppendOptions & { readonly expected?: Expected },
  ): Receipt;
} & CommandsOf<Def>;

/** Order of a history; `"forward"` unless given. */
export interface HistoryOptions {
  readonly direction?: "forward" | "backward";
}

/** A place in the log: a position, or a time by the server's clock (by this device's without sync). */
export type ReadPoint = { readonly position: number } | { readonly time: Date };

/** What to read of the log. */
export interface ReadOptions {
  /** Where reading starts, included. Default: the first event; backward, the last one. */
  readonly from?: ReadPoint;
  /** Where it ends, included. Default: the other end, as it is when reading starts. */
  readonly to?: ReadPoint;
  readonly direction?: "forward" | "backward";
  /** Events at most. */
  readonly limit?: number;
  /** Ends the reading at once: `next()` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What to read of one stream. `from` and `to` are versions; the rest is as in {@link ReadOptions}. */
export interface ReadStreamOptions {
  readonly from?: number;
  readonly to?: number;
  readonly direction?: "forward" | "backward";
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** Options of work that takes a while. It rejects with the signal's reason when that aborts. */
export interface ProgressOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called now and then; `done` only grows. */
  readonly onProgress?:
    | ((progress: { readonly done: number; readonly total: number }) => void)
    | undefined;
}

/** What to export, and how. */
export interface ExportOptions {
  /**
   * `"ndjson"` (the default): a line of JSON for each event, as `tidelog import` of the server takes it.
   * `"frames"`: the log byte for byte, with ids, conditions and hashes.
   */
  readonly format?: "ndjson" | "frames";
  /**
   * `"confirmed"` (the default), `"unconfirmed"`: pending and parked commits, which exist nowhere else, or
   * `"all"`: both. Of a log on this device alone that cannot be opened because it is damaged, all before the
   * damage is given, then the stream fails with `database_corrupt`.
   * `"lost"`: what `log.lost()` gives; as frames, whole frames of the history that the server lost, and damaged ones.
   */
  readonly what?: "confirmed" | "unconfirmed" | "all" | "lost";
  /** The stream then fails with the signal's reason. */
  readonly signal?: AbortSignal;
  /** `done` of `total` confirmed events are in the stream. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** Where an import comes from. */
export type ImportSource =
  | string
  | Blob
  | Uint8Array
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array | string>;

/** How to import. */
export interface ImportOptions {
  /** Default: told by the first bytes. */
  readonly format?: "ndjson" | "frames";
  /** What was imported before the signal aborts stays. */
  readonly signal?: AbortSignal;
  /** `bytes` of the source were taken, and `events` of them are stored. */
  readonly onProgress?: (progress: { readonly bytes: number; readonly events: number }) => void;
}

/** What an import did. */
export interface ImportResult {
  /** Appended and stored. */
  readonly events: number;
  readonly commits: number;
  /** Left out, because the log has them already: events of lines, commits of frames. */
  readonly skipped: number;
}

/** What this device holds, live, and what can be done about it. */
export interface LogStorage extends Live<StorageInfo> {
  /** Looks now. While somebody subscribes, it looks by itself after events were confirmed. */
  refresh(): Promise<StorageInfo>;
  /** Asks the browser not to evict this site's data. False if it does not promise that. */
  persist(): Promise<boolean>;
  /** Merges small frames now rather than when idle. */
  compact(): Promise<void>;
  /** Saves the folds now. False if this tab is not the one that does, or nothing is confirmed. */
  snapshot(): Promise<boolean>;
}

/** Options of raw appends. */
export interface AppendOptions {
  /** For every stream of the commit, or by stream. Default `"any"`. */
  readonly expected?: Expected | { readonly [stream: string]: Expected };
  /** Default `"ask"` if a version is expected, else `"rebase"`. */
  readonly policy?: Policy;
  /** For events that bring none of their own. */
  readonly meta?: EventMeta;
}

/** A read-only view of a past state. */
export interface PastView {
  /** The last position it includes. */
  readonly position: number;
  row<Def extends StreamDefinition>(definition: Def, key: string): Row<StateOf<Def>> | undefined;
  rows<Def extends StreamDefinition>(
    definition: Def,
    query?: RowQuery<StateOf<Def>>,
  ): readonly Row<StateOf<Def>>[];
}

/** Parked commits, newest last, and what can be done with one. */
export interface Parked extends Live<readonly ParkedCommit[]> {
  /**
   * Decides the command again on today's state, or merges if that is its policy; raw events are kept as by `rebase`.
   */
  retry(id: string): Receipt;
  /** Keeps the events and takes today's versions. */
  rebase(id: string): Receipt;
  /** Appends these events in place of its own, on today's versions: what a person merged or edited. */
  replace(id: string, events: readonly RawEvent[]): Receipt;
  /**
   * What both sides made of the streams that they collided on, for showing and merging by hand. Rejects with `not_parked`,
   * `unknown_stream_kind`, `stream_blocked` and what reading a history rejects with.
   */
  sides(id: string): Promise<readonly ParkedSides[]>;
  /** Drops the commit for good. */
  discard(id: string): Promise<void>;
}

/** Both sides of one stream that a parked commit collided on. */
export interface ParkedSides extends Sides<unknown> {
  readonly stream: string;
}

/** A log, without its streams. */
export interface LogMembers {
  readonly name: string;
  readonly user: string;
  readonly status: Live<Status>;
  readonly parked: Parked;
  /** Opened and replayed what is on disk. Rejects with a `TidelogError`. */
  ready(): Promise<void>;
  /** Tries the server again now: after somebody signed in, or when a person asks for it. */
  syncNow(): void;
  /** Live rows of a kind; `[]` while opening. The same definition and an equal query give the same object. */
  rows<Def extends StreamDefinition>(
    definition: Def,
    query?: RowQuery<StateOf<Def>>,
  ): Live<readonly Row<StateOf<Def>>[]>;
  /** One live row. Its subscribers never run for another. */
  row<Def extends StreamDefinition>(
    definition: Def,
    key: string,
  ): Live<Row<StateOf<Def>> | undefined>;
  /** One live value folded from the whole log, pending events included. */
  fold<Result>(projection: Projection<Result>): Live<Result>;
  /** Appends events of one or several streams atomically. */
  append(events: readonly RawEvent[], options?: AppendOptions): Receipt;
  /** The full history of a stream: confirmed, then pending. */
  history(
    definition: StreamDefinition,
    key: string,
    options?: HistoryOptions,
  ): Promise<readonly RecordedEvent[]>;
  /**
   * The confirmed log, event by event, read one page ahead of the loop. It ends at the last event that is confirmed
   * when reading starts. Leaving the loop ends the reading. Rejects with `history_not_available` for events
   * that only the server has while it cannot be reached.
   */
  read(options?: ReadOptions): AsyncIterableIterator<RecordedEvent>;
  /** One stream: its confirmed events, then the pending ones; backward, the pending ones first. */
  readStream(
    definition: StreamDefinition,
    key: string,
    options?: ReadStreamOptions,
  ): AsyncIterableIterator<RecordedEvent>;
  readonly storage: LogStorage;
  /** The log as bytes, as fast as they are read. */
  export(options?: ExportOptions): ReadableStream<Uint8Array>;
  /**
   * Appends what `export` wrote, here or elsewhere, in commits of up to 100 lines. Resolves when it is stored and
   * shown. What was erased stays so; only a log without `sync` takes new lines of that. Rejects with `invalid_import`
   * (with the `line` and how much was `imported` before it), `import_mismatch` and what appending rejects with. What
   * was imported before stays; the same import again leaves it out, for lines that name their `version`.
   */
  import(source: ImportSource, options?: ImportOptions): Promise<ImportResult>;
  /**
   * Folds a kind or a projection from the log anew, beside the running fold, and puts it in its place: subscribers
   * never see a half state. Shows in `status.rebuilding`.
   */
  rebuild<Result>(
    what: StreamDefinition | Projection<Result>,
    options?: ProgressOptions,
  ): Promise<void>;
  /**
   * Recomputes every checksum and hash of the log on this device. Rejects with `database_corrupt` or `log_tampered`,
   * which name the position. Of what a server without a hash chain sent, it shows that it is still what came.
   */
  verify(options?: ProgressOptions): Promise<{ readonly events: number }>;
  /**
   * Events that the server has lost, as after a restored backup, and that nobody has sent again: others', as a rule, because
   * this device sends its own again. Positions and versions are those of the history that is gone.
   */
  lost(): Promise<readonly RecordedEvent[]>;
  /** The confirmed state as of a position or of a time by the server's clock. */
  at(point: ReadPoint): Promise<PastView>;
  /** Appends what takes a commit back, by the `inverse` of its events. */
  undo(commitId: string): Promise<Receipt>;
  /** The receipt of a commit, also after a reload. */
  receipt(commitId: string): Receipt;
  /** Settles what is being written and lets go of the database. */
  close(): Promise<void>;
}

/** A log: one function per kind gives a stream's handle. */
export type Log<Defs extends Streams = Streams> = LogMembers & {
  readonly [Kind in keyof Defs]: (key: string) => StreamHandle<Defs[Kind]>;
};
