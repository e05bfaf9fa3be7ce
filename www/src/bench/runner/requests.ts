/** What a fresh page is asked to do, and what it answers. All of it crosses as JSON. */
import type { Digest } from "../loan.ts";
import type { SubjectId } from "../subjects/subject.ts";

export interface Data {
  readonly events: number;
  /** The events are the first so many, repeated; all distinct when left out. */
  readonly distinct?: number;
}

interface On {
  readonly subject: SubjectId;
  readonly database: string;
}

/** Imports into an empty database. */
export interface FillRequest extends On, Data {
  readonly kind: "fill";
  readonly expected: Digest;
  /** Appends so many more, one after the other, before the background work: for the bytes on disk. */
  readonly singles?: number;
  /** False: no snapshot is written. */
  readonly snapshots: boolean;
}

/** Opens what a fill left. */
export interface OpenRequest extends On {
  readonly kind: "open";
  readonly expected: Digest;
  readonly snapshots: boolean;
  /** Watches for the longest task of the main thread meanwhile. */
  readonly watch?: boolean;
  /** Afterwards, the host weighs the page. */
  readonly weigh?: boolean;
}

/** Lets the subject do its background work on what a fill left. */
export interface SettleRequest extends On {
  readonly kind: "settle";
}

/** Single appends, each awaited, in turn with a raw put of the same durability. */
export interface AppendRequest extends On {
  readonly kind: "append";
  readonly count: number;
  /** Stops earlier after so many milliseconds. */
  readonly budget: number;
}

/** Appends without awaiting. */
export interface BurstRequest extends On {
  readonly kind: "burst";
  readonly count: number;
}

/** From a command to its subscriber. */
export interface ToldRequest extends On {
  readonly kind: "told";
  readonly count: number;
  readonly budget: number;
}

/** Single streams, read from disk, in turn with raw gets. */
export interface HistoryRequest extends On {
  readonly kind: "history";
  readonly streams: readonly string[];
  /** How many events each has. */
  readonly lengths: readonly number[];
  /** A filled database of the raw segments. */
  readonly segments: string;
  /** A filled database of the raw records. */
  readonly records: string;
}

/** Tab B: tells tab A when it shows what A appended, and answers bare messages. */
export interface WatchRequest extends On {
  readonly kind: "watch";
  readonly key: string;
  readonly channel: string;
}

/** Tab A: appends and waits for tab B's word. */
export interface WriteRequest extends On {
  readonly kind: "write";
  readonly key: string;
  readonly channel: string;
  readonly count: number;
  /** A filled database of the raw records. */
  readonly records: string;
}

/** The state as one JSON text in one record: what any snapshot is held against. */
export interface StateRequest extends Data {
  readonly kind: "state";
  readonly database: string;
  /** `write` makes it, `read` gets, parses and checks it. */
  readonly what: "write" | "read";
  readonly expected: Digest;
}

/** A plain fold of the data. */
export interface ReferenceRequest extends Data {
  readonly kind: "reference";
  /** So many streams to read, chosen by a seed. */
  readonly streams?: number;
}

/** The Rust fold over Tidelog's database. */
export interface RustRequest {
  readonly kind: "rust";
  readonly database: string;
  readonly expected: Digest;
}

/** Pending commits meet what others did meanwhile. */
export interface RebaseRequest {
  readonly kind: "rebase";
  /** No device has it in its name yet. */
  readonly name: string;
  readonly pending: number;
  readonly incoming: number;
}

/** Browser A: hits a ball so often and waits for it to come back. */
export interface PingRequest {
  readonly kind: "ping";
  readonly name: string;
  readonly count: number;
  /** Address of a WebSocket that echoes; the harness knows it. */
  readonly echo: string;
}

/** Browser B: hits the ball back. */
export interface PongRequest {
  readonly kind: "pong";
  readonly name: string;
}

/** Deletes every database with this in its name. */
export interface CleanRequest {
  readonly kind: "clean";
  readonly part: string;
}

export type Request =
  | FillRequest
  | OpenRequest
  | SettleRequest
  | AppendRequest
  | BurstRequest
  | ToldRequest
  | HistoryRequest
  | WatchRequest
  | WriteRequest
  | StateRequest
  | ReferenceRequest
  | RustRequest
  | RebaseRequest
  | PingRequest
  | PongRequest
  | CleanRequest;

/** Times are in milliseconds. */
export interface Answers {
  fill: { readonly ms: number };
  open: {
    readonly ms: number;
    readonly longestTask?: number;
    /** Longest time between two turns of the event loop. */
    readonly longestGap?: number;
    /** All WebAssembly memories. */
    readonly wasmBytes: number;
    /** Added by the host when asked to weigh. */
    readonly heap?: Heap;
  };
  settle: { readonly ms: number };
  append: { readonly ms: readonly number[]; readonly raw: readonly number[] };
  burst: { readonly ms: number };
  told: { readonly ms: readonly number[] };
  history: {
    readonly ms: readonly number[];
    readonly segmentGet: readonly number[];
    readonly recordGet: readonly number[];
  };
  watch: Record<string, never>;
  write: {
    /** From the append call until tab B's word, less half a bare round trip. */
    readonly ms: readonly number[];
    /** The same from `durable` on. */
    readonly afterDurable: readonly number[];
    readonly bare: readonly number[];
    readonly rawRead: readonly number[];
  };
  state: { readonly ms: number };
  reference: {
    readonly digest: Digest;
    readonly source: "real" | "invented";
    readonly streams: readonly string[];
    readonly lengths: readonly number[];
  };
  rust: { readonly ms: number };
  rebase: {
    readonly rebaseMs: number;
    /** The same events on a device with nothing pending. */
    readonly plainMs: number;
    /** A loop over them in memory. */
    readonly loopMs: number;
  };
  ping: {
    /** One way each. */
    readonly ms: readonly number[];
    readonly echo: readonly number[];
  };
  pong: Record<string, never>;
  clean: Record<string, never>;
}

export interface Heap {
  readonly jsBytes: number;
  /** True: measured right after a garbage collection. */
  readonly collected: boolean;
}

export type AnswerTo<R extends Request> = Answers[R["kind"]];

/** How a page says that it could not. */
export interface Failure {
  readonly failed: string;
  /** The result was wrong, not only missing. */
  readonly wrong: boolean;
}
