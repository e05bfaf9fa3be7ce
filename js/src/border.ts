/**
 * The wasm border: what `LogCore` of crate `tidelog-wasm` gives and takes. JS is a mirror of it: wasm
 * decides order, versions, durability and sync. Nothing here is public.
 */
import type { EventMeta, Expected, ParkedReason, Policy } from "./types.js";

/** What wasm throws or reports as an error: turned into a class by the table of `errors.ts`. */
export interface CoreError {
  readonly code: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface CoreOptions {
  readonly log: string;
  readonly user: string;
  readonly url?: string;
  readonly durability: "strict" | "relaxed";
  /** Asked with `true`, the server has refused the last one. */
  readonly token?: (refresh: boolean) => Promise<string | undefined>;
  /** Milliseconds without a sign of the tab that leads after which this one takes over. */
  readonly takeOverAfter?: number;
  /** Only looks: it never talks to a server, confirms nothing, and no other tab waits for it. */
  readonly detached?: boolean;
  /** The kinds and streams to sync, a line each; everything when left out. */
  readonly only?: string;
  /** Called when `poll` has something to say. It may be called from inside any call. */
  readonly wake: () => void;
  /** Confirmed events to keep on this device; everything when left out. Needs `url`. `since` is in milliseconds. */
  readonly retain?: { readonly newest: number } | { readonly since: number };
  /** `false`: snapshots are neither read nor written. */
  readonly snapshots: boolean;
  /** The folds whose snapshots to look for when opening. */
  readonly folds: readonly FoldName[];
}

/** A fold as snapshots know it: of another version, a snapshot is not used. */
export interface FoldName {
  readonly name: string;
  readonly version: number;
}

export interface DraftEvent {
  readonly stream: string;
  readonly type: string;
  readonly schema: number;
  /** JSON text, kept byte for byte. */
  readonly data: string;
  readonly tags?: readonly string[];
  readonly meta?: EventMeta;
}

export interface CoreCommand {
  readonly stream: string;
  readonly name: string;
  /** JSON text. */
  readonly args: string;
}

export interface Draft {
  readonly id: string;
  readonly occurredAt: number;
  readonly conditions: readonly { readonly stream: string; readonly expected: Expected }[];
  readonly events: readonly DraftEvent[];
  readonly command?: CoreCommand;
  readonly policy: Policy;
}

export interface Appended {
  /** One version for each event of the draft. */
  readonly versions: readonly number[];
}

/**
 * A frame, or a part of one, as columns. The position of event `i` is `firstPosition + i`, unless events are left
 * out: a batch of one stream, or of a log of which a part is synced, brings `positions`.
 */
export interface Batch {
  /** Of event 0, or of what is left out before it. */
  readonly firstPosition: number;
  readonly count: number;
  /** So many events at the front are folded already (the frame straddles the cursor). */
  readonly skip: number;
  /** The dictionary, joined by "\n" (names hold no control characters). */
  readonly names: string;
  /** 36 characters for each commit, joined. */
  readonly commitIds: string;
  /** For each commit: the index behind its last event. */
  readonly commitEnd: Uint32Array;
  readonly recordedAt: Float64Array;
  /** For each commit: 0 for none, else an index into `names` plus 1. */
  readonly actor: Uint32Array;
  /** For each event: indexes into `names`. */
  readonly stream: Uint32Array;
  readonly type: Uint32Array;
  readonly schema: Uint32Array;
  readonly version: Float64Array;
  readonly occurredAt: Float64Array;
  /** Payloads as UTF-8, joined by ",". One that was {@link erased} is `null`. */
  readonly payloads: Uint8Array<ArrayBuffer>;
  /** For each event: where its payload begins in `payloads`. */
  readonly payloadAt: Uint32Array;
  /** Only of the events that have some, in order. */
  readonly extras?: readonly EventExtras[];
  /** The events whose payloads were erased, in order; absent if there are none. */
  readonly erased?: Uint32Array;
  /** With it, for each of them: the digest of what was erased, as 64 hexadecimal digits. */
  readonly digests?: string;
  /** Where there are holes. */
  readonly positions?: Float64Array;
  /** With `positions` of the log: the last one that the batch covers, of an event or of what is left out behind it. */
  readonly lastPosition?: number;
  /** Indexes into `names`: streams that are not synced, of which a commit on several streams brought a part. */
  readonly partial?: readonly number[];
}

export interface EventExtras {
  /** Index of the event in its batch. */
  readonly event: number;
  readonly tags?: readonly string[];
  readonly meta?: EventMeta;
}

/** What a read answers: `more` says that a further call has something to give. */
export interface BatchPage {
  readonly batches: readonly Batch[];
  readonly more: boolean;
}

/**
 * Said while opening and before any batch: the state of fold `name` after `position`, in groups of
 * buckets (the texts that `saveSnapshot` was given). `last` is true on a fold's last group.
 */
export interface SnapshotNotice {
  readonly kind: "snapshot";
  readonly name: string;
  readonly version: number;
  readonly position: number;
  readonly buckets: readonly string[];
  readonly last: boolean;
}

/** Frames from position `from` on failed their checksum. `refetch`: the server is asked for them again. */
export interface DamagedNotice {
  readonly kind: "damaged";
  readonly from: number;
  readonly refetch: boolean;
}

/** A bucket that changed since the last snapshot of its fold. */
export interface ChangedBucket {
  readonly bucket: number;
  readonly data: string;
}

export interface FoldSnapshot extends FoldName {
  /** How many buckets the fold has. */
  readonly buckets: number;
  /** Every bucket that holds something is in `changed`; those of before are dropped. */
  readonly whole: boolean;
  readonly changed: readonly ChangedBucket[];
}

/** Events to import as columns. */
export interface ImportBatch {
  readonly streams: readonly string[];
  readonly types: readonly string[];
  /** For each event: indexes into `streams` and `types`. */
  readonly stream: Uint32Array;
  readonly type: Uint32Array;
  readonly occurredAt: Float64Array;
  readonly schema: Uint32Array;
  /** Payloads joined by ",". */
  readonly data: string;
  /** For each event: end of its payload in `data`, in UTF-16 units. */
  readonly ends: Uint32Array;
  /** For each commit: the index behind its last event. */
  readonly commitEnd: Uint32Array;
  /** Only of the events that have some, in order. */
  readonly extras?: readonly ImportExtras[];
}

/** What few imported events have. */
export interface ImportExtras extends EventExtras {
  /** The digest of what was erased. */
  readonly erased?: string;
}

export interface Imported {
  readonly events: number;
  readonly commits: number;
}

/** `from..=to` are not on this device. */
export interface Gap {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export interface CoreStorage {
  /** Confirmed events on this device. */
  readonly events: number;
  /** Position of the oldest of them; 0 for none. */
  readonly oldest: number;
  readonly frames: number;
  readonly segments: number;
  readonly quarantined: number;
  readonly lost: number;
  /** Of our frames as they are encoded. */
  readonly bytes: number;
  readonly gaps: readonly Gap[];
  /** Which kinds and streams are here, a line each; empty for everything. */
  readonly only: string;
  /** So many positions are not here because of that. */
  readonly leftOut: number;
  /** What the browser says of the whole origin, in bytes; left out where it does not say. */
  readonly usage?: number;
  readonly quota?: number;
  readonly persisted?: boolean;
}

export interface QueueEntry {
  readonly id: string;
  readonly attempt: number;
  readonly state: "local" | "pending" | "acked";
}

export interface QueuedEvent {
  readonly stream: string;
  readonly type: string;
  readonly schema: number;
  readonly version: number;
  readonly data: string;
  readonly tags?: readonly string[];
  readonly meta?: EventMeta;
}

export interface QueuedCommit {
  readonly id: string;
  readonly attempt: number;
  readonly occurredAt: number;
  readonly events: readonly QueuedEvent[];
  readonly command?: CoreCommand;
}

export type ReceiptState = "durable" | "acked" | "confirmed" | "parked" | "failed" | "unknown";

export interface ReceiptNotice {
  readonly kind: "receipt";
  readonly id: string;
  readonly state: ReceiptState;
  readonly position?: number;
  readonly error?: CoreError;
}

/** One notice for many receipts: all of these are durable. */
export interface DurableNotice {
  readonly kind: "durable";
  /** 36 characters for each commit, joined. */
  readonly ids: string;
}

/** Decide a command again, and answer by `decide` before anything else is judged. */
export interface RerunNotice extends CoreCommand {
  readonly kind: "rerun";
  readonly id: string;
  readonly question: number;
  /** Of the events that are decided. */
  readonly attempt: number;
  readonly occurredAt: number;
  /** The event that the command's stream ends with before this commit: `commit id/attempt/index`. */
  readonly before?: string;
}

/** Merge a commit with what came between, and answer by `decide`. */
export interface MergeNotice {
  readonly kind: "merge";
  readonly id: string;
  readonly question: number;
  readonly attempt: number;
  readonly occurredAt: number;
  /** Of all its streams. Their versions are 0. */
  readonly events: readonly QueuedEvent[];
  /** Versions that others took, the last one included. */
  readonly collisions: readonly {
    readonly stream: string;
    readonly from: number;
    readonly to: number;
  }[];
}

export type QuestionNotice = RerunNotice | MergeNotice;

export type Notice =
  | { readonly kind: "batch"; readonly batch: Batch; readonly settled: readonly string[] }
  | { readonly kind: "queue" }
  | ReceiptNotice
  | QuestionNotice
  | { readonly kind: "status" }
  | { readonly kind: "parked" }
  /** Payloads were erased: everything confirmed is to be folded again from the log as it now is. */
  | { readonly kind: "erased" }
  | DurableNotice
  | SnapshotNotice
  | DamagedNotice
  /**
   * All confirmed state comes again: what snapshots there are first, then batches from behind `after` on. Without
   * snapshots `after` is 0.
   */
  | { readonly kind: "reset"; readonly reason: string; readonly after: number };

export type CoreDecision =
  | {
      readonly events: readonly DraftEvent[];
      /** Of a command: the other streams it was decided on. What the commit expects is that of these and its own, and no more. */
      readonly reads?: readonly string[];
      readonly occurredAt: number;
    }
  | { readonly refused: { readonly code: string; readonly message: string } }
  | { readonly unknownCommand: true }
  /** It cannot be merged: a person is to look at it. */
  | { readonly ask: true };

/** An event of a parked commit, or one that it collided with (these are recorded). */
export interface ParkedEvent extends Omit<QueuedEvent, "data"> {
  /** JSON; absent if it was erased. */
  readonly data?: string;
  readonly occurredAt: number;
  readonly commitId: string;
  readonly position?: number;
  readonly recordedAt?: number;
  readonly actor?: string;
}

export interface ParkedInfo {
  readonly id: string;
  readonly occurredAt: number;
  readonly reason: ParkedReason;
  readonly mine: readonly (ParkedEvent & { readonly data: string })[];
  readonly theirs: readonly ParkedEvent[];
  readonly command?: CoreCommand;
}

export interface Outcome {
  readonly state: "local" | "durable" | "acked" | "confirmed" | "parked" | "absent";
  /** Of its last event. */
  readonly position?: number;
}

export interface CoreStatus {
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
  readonly position: number;
  readonly head: number;
  readonly pending: number;
  readonly parked: number;
  readonly leader: boolean;
  readonly replayed?: { readonly done: number; readonly total: number };
  readonly error?: CoreError;
  /** When that is tried again, in milliseconds since 1970. */
  readonly retryAt?: number;
  /** Which kinds and streams are here, a line each; left out if everything is. */
  readonly only?: string;
  /** What is to take its place when the server answers. */
  readonly nextOnly?: string;
}

export interface LogCore {
  /** Replays the disk, waking for batches meanwhile. Rejects with a {@link CoreError}. */
  open(): Promise<void>;
  newCommitId(): string;
  /** Throws a {@link CoreError}: `version_conflict`, `commit_too_large`, `closed`, … */
  append(draft: Draft): Appended;
  /**
   * The usual commit, of one event without tags and meta, with a condition on its stream alone: `append`
   * without the objects, and with numbers where a text would cost more than what it says. `policy` is a place
   * in {@link POLICIES}; `expected` a version, or {@link EXPECT_ANY} or {@link EXPECT_EXISTS}. Returns the
   * version of the event and throws what `append` throws.
   */
  appendFlat(
    id: string,
    occurredAt: number,
    policy: number,
    expected: number,
    stream: string,
    type: string,
    schema: number,
    data: string,
    commandName: string | undefined,
    commandArgs: string | undefined,
  ): number;
  /** To be called until `undefined` after each wake, `open` and `append`. */
  poll(): Notice | undefined;
  /** Commits not confirmed yet, in order. */
  queue(): readonly QueueEntry[];
  /**
   * The same for the mirror: the commits from place `from` on, which is the first that changed since the last
   * call. `known`: how many the mirror has, with what was appended and without what was settled since. If that
   * cannot be, it gets all of them.
   */
  queueChanges(known: number): { readonly from: number; readonly entries: readonly QueueEntry[] };
  commit(id: string): QueuedCommit | undefined;
  /** The versions that its events are shown with: for those who know the events. */
  queuedVersions(id: string): ArrayLike<number> | undefined;
  /** An answer to a question that does not stand any more is ignored. */
  decide(id: string, question: number, decision: CoreDecision): void;
  /** The same for the usual decision: one event without tags and meta, decided on its own stream alone. */
  decideFlat(
    id: string,
    question: number,
    occurredAt: number,
    stream: string,
    type: string,
    schema: number,
    data: string,
  ): void;
  /** Events of a stream from commits before this one; all of them if it is not in the queue. Their versions are 0. */
  queuedBefore(id: string, stream: string): readonly ParkedEvent[];
  /** Is a stream synced to this device? Of others nothing is known, and nothing can be appended. */
  keeps(stream: string): boolean;
  /** Shown version: confirmed and queue. */
  version(stream: string): number;
  /**
   * Frames that hold positions in `from..=to`, whole and in the asked order, about `maxBytes` of them.
   * What was pruned comes from the server: rejects with `history_not_available` where it cannot be reached.
   */
  readLog(from: number, to: number, backward: boolean, maxBytes: number): Promise<BatchPage>;
  /** Confirmed events of one stream with versions in `from..=to`, about `limit` of them, in the asked order. */
  readStream(
    stream: string,
    from: number,
    to: number,
    backward: boolean,
    limit: number,
  ): Promise<BatchPage>;
  /** The last position recorded at or before `millis`; 0 for none. */
  positionAt(millis: number): Promise<number>;
  /** Raw whole frames from the one that holds `position` on; `undefined` past the end. */
  framesFrom(position: number, maxBytes: number): Promise<Uint8Array | undefined>;
  /** What is not confirmed, parked commits too, as frames of this device. */
  unconfirmed(): Promise<Uint8Array>;
  /** The frames that were lost or quarantined. */
  lost(): Promise<Uint8Array>;
  /** Those of them that can be read, of lost histories; positions are those of that time. */
  lostBatches(): Promise<BatchPage>;
  /** Resolves when durable. */
  importEvents(batch: ImportBatch): Promise<Imported>;
  /**
   * Whole frames. A local log takes them if they continue it, and rejects with `import_mismatch` if not; a
   * synced one appends their commits, and so do both with frames of a device. Commits known already are skipped.
   */
  importFrames(bytes: Uint8Array): Promise<Imported & { readonly skipped: number }>;
  /** The position at which this tab should save snapshots now; 0 for not now. */
  snapshotDue(): number;
  /** Resolves when nothing is being written and nothing waits to be. */
  atRest(): Promise<void>;
  /** The same as `snapshotDue`, whether or not it is worth it yet: 0 if this tab cannot, or not before it is at rest. */
  snapshotNow(): number;
  /** False: not written, for the log went on or another tab was faster. */
  saveSnapshot(position: number, folds: readonly FoldSnapshot[]): Promise<boolean>;
  /** Runs maintenance until there is nothing left to do. */
  compact(): Promise<{ readonly sealed: number }>;
  forgetSnapshots(): Promise<void>;
  storage(): Promise<CoreStorage>;
  /** Asks the browser not to evict this origin; its answer. */
  persist(): Promise<boolean>;
  /** Recomputes checksums and hash chain of a slice. Rejects with `log_tampered` or `database_corrupt`. */
  verify(
    from: number,
    maxBytes: number,
  ): Promise<{ readonly position: number; readonly done: boolean }>;
  parked(): Promise<readonly ParkedInfo[]>;
  /** These reject with `not_parked`. The parked commit is gone when a notice says so. */
  retry(id: string): Promise<void>;
  rebase(id: string): Promise<void>;
  discard(id: string): Promise<void>;
  /** Appends events in place of the parked commit's own. Rejects with what `append` throws, too. */
  replace(
    id: string,
    replacement: { readonly events: readonly DraftEvent[]; readonly occurredAt: number },
  ): Promise<void>;
  outcome(id: string): Promise<Outcome>;
  status(): CoreStatus;
  kick(): void;
  close(): Promise<void>;
}

/** Policies by the numbers that {@link LogCore.appendFlat} takes. */
export const POLICIES: readonly Policy[] = ["rerun", "rebase", "ask"];
/** No version in particular. */
export const EXPECT_ANY = -1;
/** Any but 0. */
export const EXPECT_EXISTS = -2;

/** Makes a core; the loader's real one, or a test's. */
export type CoreFactory = (options: CoreOptions) => Promise<LogCore>;
