/**
 * The folds of a log: rows of every kind and projections, confirmed and pending. It takes wasm's batches
 * and queue in; `refresh` folds what they changed and gives the functions that tell the subscribers.
 */
import { BatchReader, keyOf, kindOf } from "./batch.js";
import type { Batch, LogCore, QueuedCommit } from "./border.js";
import type { Projection, StreamDefinition } from "./define.js";
import type { TidelogError } from "./errors.js";
import type { Streams } from "./log-types.js";
import type { Fold } from "./projections.js";
import { QueueMirror } from "./queue.js";
import { Rows } from "./rows.js";
import type { RecordedEvent, UnfoldedStream } from "./types.js";

/** A batch on its way into the folds. */
interface Progress {
  readonly reader: BatchReader;
  readonly settled: readonly string[];
  next: number;
}

/** Events folded between two looks at the clock. */
const STRIDE = 256;

export class Mirror {
  readonly queue = new QueueMirror();
  /** Last confirmed position in the folds. */
  position = 0;
  /** Confirmed events folded since the last reset. */
  folded = 0;
  /** How often the log began anew. */
  resets = 0;
  /** What the latest fold that threw said. */
  foldError: TidelogError | undefined;
  readonly #kinds = new Map<string, Rows>();
  readonly #folds = new Map<Projection<unknown>, Fold>();
  #progress: Progress | undefined;
  #foldsStale = false;

  constructor(streams: Streams, onUse: () => void) {
    for (const definition of Object.values(streams)) {
      this.#kinds.set(definition.kind, new Rows(definition, this.report, onUse));
    }
  }

  readonly report = (error: TidelogError): void => {
    // A pending event is folded again and again: one error for it, not one for each time.
    if (this.foldError?.message !== error.message) this.foldError = error;
  };

  readonly definitionOf = (stream: string): StreamDefinition | undefined =>
    this.#kinds.get(kindOf(stream))?.definition;

  /** A batch is partly folded: shown state must wait for the rest of it. */
  get midBatch(): boolean {
    return this.#progress !== undefined;
  }

  rows(kind: string): Rows | undefined {
    return this.#kinds.get(kind);
  }

  fold(projection: Projection<unknown>): Fold | undefined {
    return this.#folds.get(projection);
  }

  /** Adds a fold that has seen every confirmed event up to `position`. */
  addFold(fold: Fold): void {
    this.#folds.set(fold.projection, fold);
    this.#foldsStale = true;
  }

  /** Starts on a batch. Throws `corrupt_batch`. The batch before it must be finished. */
  begin(batch: Batch, settled: readonly string[]): void {
    this.#progress = { reader: new BatchReader(batch), settled, next: 0 };
  }

  /** Folds on until the batch is finished (true) or `expired` says that time is up. */
  advance(expired: () => boolean): boolean {
    const progress = this.#progress;
    if (progress === undefined) return true;
    const { count } = progress.reader.batch;
    while (progress.next < count) {
      const end = Math.min(count, progress.next + STRIDE);
      for (; progress.next < end; progress.next++)
        this.#confirm(progress.reader.event(progress.next));
      if (progress.next < count && expired()) return false;
    }
    // Same step: an event that is confirmed must not be in the overlay any more.
    this.#touch(this.queue.settle(progress.settled));
    this.#progress = undefined;
    return true;
  }

  push(commit: QueuedCommit): void {
    this.queue.push(commit);
    this.#touch(new Set(commit.events.map((event) => event.stream)));
  }

  refreshQueue(core: LogCore): void {
    this.#touch(this.queue.refresh(core));
  }

  setConflicts(streams: ReadonlySet<string>): void {
    for (const [kind, rows] of this.#kinds) {
      const keys = [...streams].filter((stream) => kindOf(stream) === kind).map(keyOf);
      rows.setConflicts(new Set(keys));
    }
  }

  /** Forgets what is confirmed: the log is being pulled anew. */
  reset(): void {
    this.#progress = undefined;
    this.position = 0;
    this.folded = 0;
    this.resets++;
    for (const rows of this.#kinds.values()) rows.reset();
    for (const fold of this.#folds.values()) fold.reset();
    this.#foldsStale = true;
  }

  /** Folds anew what changed; gives the functions that tell the subscribers. */
  refresh(): (() => void)[] {
    const tellers: (() => void)[] = [];
    for (const rows of this.#kinds.values()) tellers.push(...rows.refresh(this.queue));
    if (this.#foldsStale) {
      this.#foldsStale = false;
      for (const fold of this.#folds.values()) {
        fold.refresh(this.queue.events());
        tellers.push(() => fold.live.tell());
      }
    }
    return tellers;
  }

  unfolded(): UnfoldedStream[] {
    return [...this.#kinds.values()].flatMap((rows) => [...rows.unfoldedStreams()]);
  }

  #confirm(event: RecordedEvent): void {
    this.#kinds.get(kindOf(event.stream))?.confirm(event);
    for (const fold of this.#folds.values()) fold.confirm(event);
    this.#foldsStale = true;
    this.position = event.position ?? this.position;
    this.folded++;
  }

  #touch(streams: ReadonlySet<string>): void {
    for (const stream of streams) this.#kinds.get(kindOf(stream))?.touch(keyOf(stream));
    if (streams.size > 0) this.#foldsStale = true;
  }
}
