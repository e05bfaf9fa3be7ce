/** The public shapes that several modules share. */
import type { TidelogError } from "./errors.js";

/**
 * What happens to a pending commit when its stream has moved on meanwhile: decide the command again
 * on the new state (`rerun`), keep the events and take new versions (`rebase`), have the kind's `merge`
 * put both sides together (`merge`), or park it until someone resolves it (`ask`).
 */
export type Policy = "rerun" | "rebase" | "merge" | "ask";

/** What must hold for a stream before a commit is appended: a version, or a rule about it. */
export type Expected = "any" | "noStream" | "exists" | number;

/** Everything about an event but its payload. */
export interface EventInfo {
  /** `kind/key` */
  readonly stream: string;
  readonly key: string;
  readonly type: string;
  /** Place in the stream, from 1. */
  readonly version: number;
  /** Version of the payload's schema as it was written. */
  readonly schema: number;
  /** Milliseconds since 1970 by the author's clock. */
  readonly occurredAt: number;
  /** Milliseconds since 1970 by the server's clock; absent while pending. */
  readonly recordedAt?: number;
  /** Place in the log, from 1; absent while pending. */
  readonly position?: number;
  readonly commitId: string;
  /** Who the server says wrote it; absent while pending. */
  readonly actor?: string;
  /** Absent if it has none. */
  readonly tags?: readonly string[];
  readonly meta?: EventMeta;
  /** Its payload was erased, everywhere: there is no `data`, and no fold is given the event. */
  readonly erased?: true;
}

/** An event with its payload as it was written (no upcaster has touched it). */
export interface RecordedEvent extends EventInfo {
  /** Absent if it was {@link EventInfo.erased}. */
  readonly data?: unknown;
}

/**
 * A confirmed event as a fold gets it that is one function for all types. Not copied from a
 * {@link RecordedEvent} but made so at once, for nobody else.
 */
export interface NamedEvent extends Omit<EventInfo, "actor"> {
  readonly name: string;
  data?: unknown;
  readonly actor: string | undefined;
}

/** An event for {@link RawEvent} appends, outside any command. */
export interface RawEvent {
  /** `kind/key` of a declared kind */
  readonly stream: string;
  /** Full type, with the kind's prefix. */
  readonly type: string;
  readonly data: unknown;
  /** Payload version; the declared one unless given. */
  readonly schema?: number;
  readonly tags?: readonly string[];
  readonly meta?: EventMeta;
}

/** Who caused an event, for tracing. */
export interface EventMeta {
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly device?: string;
}

/** A value that changes: referentially stable between changes, as `useSyncExternalStore` wants it. */
export interface Live<T> {
  /** Calls `listener` after each change; returns the function that ends it. Opens the log. */
  subscribe(listener: (value: T) => void): () => void;
  getSnapshot(): T;
}

/** One stream, folded. A new object exactly when something about the stream changed. */
export interface Row<S> {
  readonly key: string;
  readonly version: number;
  /** `pending` while some of its events are not confirmed; `conflict` while a parked commit touches it. */
  readonly sync: "pending" | "synced" | "conflict";
  readonly state: S;
  /** `occurredAt` of its first and of its last event. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly lastType: string;
}

/** Which rows, in what order. Equal queries share one live result. */
export interface RowQuery<S> {
  /** Fields that must be equal, or a test. A function is compared by identity: keep it outside render. */
  readonly where?: Partial<S> | ((row: Row<S>) => boolean) | undefined;
  /** A field of the state or a comparison. Without it rows come in the order they were created. */
  readonly orderBy?: (keyof S & string) | ((a: Row<S>, b: Row<S>) => number) | undefined;
  readonly direction?: "asc" | "desc" | undefined;
  readonly limit?: number | undefined;
}

/** Why a commit was not appended, or was parked. */
export interface Reason {
  /** What `refuse` was called with, or `version_conflict` and the other stable codes. */
  readonly code: string;
  readonly message: string;
  readonly stream?: string;
  readonly expected?: Expected;
  readonly actual?: number;
}

/** How a commit ended. */
export type Settlement =
  | { readonly state: "confirmed"; readonly position: number }
  | { readonly state: "parked"; readonly reason: Reason }
  | { readonly state: "failed"; readonly error: TidelogError }
  /** The connection to the database was lost before it answered; ask `log.receipt(id)` after reopening. */
  | { readonly state: "unknown" }
  /** Nothing was appended: see `reason` of the receipt. */
  | { readonly state: "refused"; readonly reason: Reason };

/** What a command gives back, at once. */
export interface Receipt {
  /** The commit's id. */
  readonly id: string;
  /** False: refused or in conflict with what the user saw; nothing was appended. */
  readonly ok: boolean;
  readonly reason?: Reason;
  /** Resolves when IndexedDB has completed the write; rejects with a {@link TidelogError} if it did not. */
  readonly durable: Promise<void>;
  /** Never rejects. */
  readonly settled: Promise<Settlement>;
}

/** A commit taken out of the state because it conflicts or was refused; kept until someone resolves it. */
export interface ParkedCommit {
  readonly id: string;
  readonly reason: ParkedReason;
  readonly mine: readonly RecordedEvent[];
  readonly theirs: readonly RecordedEvent[];
  readonly command?: { readonly stream: string; readonly name: string; readonly args: unknown };
  readonly occurredAt: number;
}

/** Why a commit is parked. */
export interface ParkedReason {
  readonly code: "conflict" | "refused" | "rejected" | "unknown_command";
  /** What `refuse` was called with, or the server's own code. */
  readonly cause?: string;
  readonly message: string;
  readonly conflicts: readonly {
    readonly stream: string;
    readonly expected: Expected;
    readonly actual: number;
  }[];
}

/** Where the log stands. */
export interface Status {
  /**
   * - `opening`: reads this device's copy; no commands yet, except for those of a log that is open already;
   * - `connecting`: the server has not answered yet; `offline`: it cannot be reached;
   * - `catching-up`: `position` of `head` events are here; `live`: all are, and news come as they happen: those that are on their
   *   way to this device's disk are counted in `head` already;
   * - `blocked`: a person has to do something first, see `error`: sign in (`unauthorized`), be allowed to (`forbidden`,
   *   `unknown_log`), or get a newer version of the app (`client_too_old`);
   * - `error`: something else is wrong, see `error` and `retryAt`;
   * - `local`: no sync is configured.
   *
   * Whatever it is, the log takes commands once it was opened, unless it is `closed`.
   */
  readonly phase:
    | "opening"
    | "connecting"
    | "offline"
    | "catching-up"
    | "live"
    | "blocked"
    | "error"
    | "closed"
    | "local";
  /** Last confirmed position that is folded. */
  readonly position: number;
  /** The server's last position, as last heard. */
  readonly head: number;
  readonly pending: number;
  readonly parked: number;
  /** This tab talks to the network. */
  readonly leader: boolean;
  /** While opening: events folded from disk. Those that a snapshot stands for are not counted. */
  readonly replayed?: { readonly done: number; readonly total: number };
  /** Folds that are being built beside the running ones, from the log: late projections, `log.rebuild`. */
  readonly rebuilding: readonly Rebuilding[];
  /** Folds that no snapshot is made of, and why: opening folds all their events. */
  readonly unsaved: readonly UnsavedFold[];
  /** Data on this device failed its checksum. `refetch`: the server is asked for it again. */
  readonly damaged?: { readonly from: number; readonly refetch: boolean };
  /** Streams that hold an event this code cannot fold: their rows stand still and refuse commands. */
  readonly unfolded: readonly UnfoldedStream[];
  /** The database was found empty or rewound and is being pulled again. */
  readonly reset?: { readonly reason: string };
  readonly error?: TidelogError;
  /** The part of the server's log that is here; absent if it is all of it. Folds see nothing else. */
  readonly only?: SyncedPart;
  /** `sync.only` is another one than the last time: this part takes the place of `only` as soon as the server answers. */
  readonly nextOnly?: SyncedPart | "everything";
  /** When what is wrong with the sync is tried again by itself, in milliseconds since 1970 by this device's clock. */
  readonly retryAt?: number;
}

/** Kinds, and single streams (`kind/key`) of other kinds. */
export interface SyncedPart {
  readonly kinds: readonly string[];
  readonly streams: readonly string[];
}

/** A fold on its way: `done` of `total` events. */
export interface Rebuilding {
  readonly name: string;
  readonly done: number;
  readonly total: number;
}

/** A fold whose state cannot be kept as JSON without loss, or that threw. */
export interface UnsavedFold {
  readonly name: string;
  readonly problem: string;
}

/** What this device holds of the log, and what the browser grants. */
export interface StorageInfo {
  /** Confirmed events on this device. */
  readonly events: number;
  /** Position of the oldest of them; 0 for none. */
  readonly oldest: number;
  /** Of the log's frames as they are encoded; the browser may compress them. */
  readonly bytes: number;
  /** Frames of any size, and those of them that compaction is done with. */
  readonly frames: number;
  readonly segments: number;
  /** What is not kept on this device any more: the server has it. */
  readonly gaps: readonly StorageGap[];
  /** The part of the log that is synced; absent if it is all of it. */
  readonly only?: SyncedPart;
  /** How many positions are not here because of `only`: events that neither folds nor `log.read` see. */
  readonly leftOut: number;
  /** Damaged frames that were set aside, and frames of a history that the server lost. */
  readonly quarantined: number;
  readonly lost: number;
  /** Bytes of the whole origin, as the browser estimates them; absent where it does not say. */
  readonly usage?: number;
  readonly quota?: number;
  /** True: the browser does not evict this origin by itself. */
  readonly persisted?: boolean;
}

/** Positions `from` to `to`, both included. */
export interface StorageGap {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** A stream with an event whose type or schema this code does not know. */
export interface UnfoldedStream {
  readonly stream: string;
  readonly type: string;
  readonly schema: number;
}
