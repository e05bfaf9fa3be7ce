/** What is measured: a way to keep an event log in the browser. */
import type { Loan, LoanEvent } from "../loan.ts";

export type SubjectId =
  | "tidelog"
  | "segments"
  | "records"
  | "dexie"
  | "rxdb"
  | "pouchdb"
  | "yjs"
  | "automerge"
  | "tinybase"
  | "redux-persist"
  | "livestore";

/** A subject's code, loaded when it is measured. */
export interface Subject {
  /** Opens the database, making it if there is none, and folds what it holds. */
  open(database: string, options: OpenOptions): Promise<Store>;
}

export interface OpenOptions {
  /** Where it can be chosen: does a write outlive a power cut? */
  readonly strict: boolean;
  /** False: the fold starts at the first event. Only Tidelog has snapshots. */
  readonly snapshots: boolean;
}

/** An open database with its fold in memory. */
export interface Store {
  /** The state as shown now. */
  rows(): Iterable<readonly [key: string, loan: Loan]>;
  /** Takes in NDJSON lines; resolves when all are on disk. */
  importLines(text: string): Promise<void>;
  /** Appends one event; resolves when it is on disk. */
  append(event: LoanEvent): Promise<void>;
  /** Appends each event by a call of its own without awaiting any; resolves when all are on disk. */
  burst(events: readonly LoanEvent[]): Promise<void>;
  /** Calls back when the application's row has changed; gives the way to stop it. */
  subscribe?(key: string, listener: () => void): Promise<() => void>;
  /** Appends one event as an app's command does, without waiting for the disk. */
  command?(event: LoanEvent): void;
  /** How many events of this stream the disk has, having read each. */
  history?(stream: string): Promise<number>;
  /** Does the background work that an idle page would come to: compaction, snapshots. */
  settle?(): Promise<void>;
  close(): Promise<void>;
}
