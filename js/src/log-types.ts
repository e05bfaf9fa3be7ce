/** The public interface of a log. */
import type { AnyCommand, Projection, StateOf, StreamDefinition } from "./define.js";
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
        /** Called for each connection; its answer is sent as a bearer token. */
        readonly token?: () => string | undefined | Promise<string | undefined>;
      }
    | undefined;
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
  /** Decides the command again on today's state; raw events are kept as by `rebase`. */
  retry(id: string): Receipt;
  /** Keeps the events and takes today's versions. */
  rebase(id: string): Receipt;
  /** Drops the commit for good. */
  discard(id: string): Promise<void>;
}

/** A log, without its streams. */
export interface LogMembers {
  readonly name: string;
  readonly user: string;
  readonly status: Live<Status>;
  readonly parked: Parked;
  /** Opened and replayed what is on disk. Rejects with a `TidelogError`. */
  ready(): Promise<void>;
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
  /** The confirmed state as of a position or of a time by the server's clock. */
  at(point: { readonly position: number } | { readonly time: Date }): Promise<PastView>;
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
