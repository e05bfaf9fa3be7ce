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
  readonly token?: () => Promise<string | undefined>;
  /** Called when `poll` has something to say. It may be called from inside any call. */
  readonly wake: () => void;
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

/** A run of confirmed commits as columns. */
export interface Batch {
  readonly firstPosition: number;
  readonly count: number;
  readonly streams: readonly string[];
  readonly types: readonly string[];
  readonly commitIds: readonly string[];
  /** For each commit. */
  readonly recordedAt: Float64Array;
  readonly actors: readonly (string | undefined)[];
  /** For each event: indexes into `streams`, `types`, `commitIds`. */
  readonly stream: Uint32Array;
  readonly type: Uint32Array;
  readonly commit: Uint32Array;
  readonly schema: Uint32Array;
  readonly version: Float64Array;
  readonly position: Float64Array;
  readonly occurredAt: Float64Array;
  /** Payloads joined by ",". */
  readonly data: string;
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

export interface RerunNotice {
  readonly kind: "rerun";
  readonly id: string;
  readonly attempt: number;
  readonly occurredAt: number;
  readonly command: CoreCommand;
}

export type Notice =
  | { readonly kind: "batch"; readonly batch: Batch; readonly settled: readonly string[] }
  | { readonly kind: "queue" }
  | ReceiptNotice
  | RerunNotice
  | { readonly kind: "status" }
  | { readonly kind: "parked" }
  | { readonly kind: "reset"; readonly reason: string };

export type RerunAnswer =
  | { readonly events: readonly DraftEvent[]; readonly occurredAt: number }
  | { readonly refused: { readonly code: string; readonly message: string } }
  | { readonly unknownCommand: true };

/** An event of a parked commit, or one that it collided with (these are recorded). */
export interface ParkedEvent extends QueuedEvent {
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
  readonly mine: readonly ParkedEvent[];
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
}

export interface LogCore {
  /** Replays the disk, waking for batches meanwhile. Rejects with a {@link CoreError}. */
  open(): Promise<void>;
  newCommitId(): string;
  /** Throws a {@link CoreError}: `version_conflict`, `commit_too_large`, `closed`, … */
  append(draft: Draft): Appended;
  /** To be called until `undefined` after each wake, `open` and `append`. */
  poll(): Notice | undefined;
  /** Commits not confirmed yet, in order. */
  queue(): readonly QueueEntry[];
  commit(id: string): QueuedCommit | undefined;
  answerRerun(id: string, answer: RerunAnswer): void;
  /** Shown version: confirmed and queue. */
  version(stream: string): number;
  /** Confirmed events of one stream. */
  history(stream: string): Promise<readonly Batch[]>;
  /** Confirmed events from `position` on, it included, about `limit` of them; `undefined` past the end. */
  logFrom(position: number, limit: number): Promise<Batch | undefined>;
  parked(): Promise<readonly ParkedInfo[]>;
  /** These three reject with `not_parked`. The parked commit is gone when a notice says so. */
  retry(id: string): Promise<void>;
  rebase(id: string): Promise<void>;
  discard(id: string): Promise<void>;
  outcome(id: string): Promise<Outcome>;
  status(): CoreStatus;
  kick(): void;
  close(): Promise<void>;
}

/** Makes a core; the loader's real one, or a test's. */
export type CoreFactory = (options: CoreOptions) => Promise<LogCore>;
