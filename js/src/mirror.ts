/**
 * The folds of a log: rows of every kind and projections, confirmed and pending. It takes wasm's batches
 * and queue in; `refresh` folds what they changed and gives the functions that tell the subscribers.
 *
 * Folds that stand at `position` follow the log; one that stands elsewhere (no snapshot, an older one, or
 * it came late) is built up beside them and attached when it has caught up.
 */
import { BatchReader, keyOf, kindOf } from "./batch.js";
import type { Batch, Draft, FoldName, LogCore, SnapshotNotice } from "./border.js";
import { type ConfirmedFold, kindFoldOf } from "./confirmed.js";
import type { Projection, StreamDefinition } from "./define.js";
import { type TidelogError, tidelogError } from "./errors.js";
import type { Streams } from "./log-types.js";
import { Fold, type FoldContext, ProjectionFold } from "./projections.js";
import { QueueMirror } from "./queue.js";
import { Rows } from "./rows.js";
import type { UnfoldedStream, UnsavedFold } from "./types.js";

/** Work that is taken up again after the page had its turn. */
interface Task {
  /** Goes on until it is done (true) or `expired` says that time is up. */
  advance(expired: () => boolean): boolean;
}

/** Events folded between two looks at the clock. */
const STRIDE = 256;

export class Mirror {
  readonly queue = new QueueMirror();
  /** Last confirmed position in the folds that are attached. */
  position = 0;
  /** Confirmed positions taken in since the last reset. */
  folded = 0;
  /** How often the log began anew, or lost payloads. */
  resets = 0;
  /** What the latest fold that threw said. */
  foldError: TidelogError | undefined;
  readonly #kinds = new Map<string, Rows>();
  readonly #folds = new Map<Projection<unknown>, Fold>();
  readonly #onUse: () => void;
  /** Follow the log. */
  readonly #attached = new Set<ConfirmedFold>();
  /** Folds that may hold what was erased since: shown until others take their places, and never saved. */
  readonly #outdated = new Set<ConfirmedFold>();
  #started = false;
  /** Where the log goes on, while no batch has come. */
  #start: number | undefined;
  #task: Task | undefined;
  #foldsChanged = false;

  constructor(streams: Streams, onUse: () => void) {
    this.#onUse = onUse;
    for (const definition of Object.values(streams)) {
      const confirmed = kindFoldOf(definition, this.report);
      this.#kinds.set(definition.kind, new Rows(confirmed, onUse));
      this.#attached.add(confirmed);
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
    return this.#task !== undefined;
  }

  rows(kind: string): Rows | undefined {
    return this.#kinds.get(kind);
  }

  kinds(): Iterable<Rows> {
    return this.#kinds.values();
  }

  fold(projection: Projection<unknown>): Fold | undefined {
    return this.#folds.get(projection);
  }

  /** What projections fold with. */
  get context(): FoldContext {
    return { definitionOf: this.definitionOf, report: this.report };
  }

  /** The live value of a projection. One that comes after the log was opened must be caught up. */
  addFold(projection: Projection<unknown>): Fold {
    const taken = [...this.#folds.keys()].some(({ name }) => name === projection.name);
    const never = taken ? "another projection of this log has the same name" : undefined;
    const confirmed = new ProjectionFold(projection, this.context, never);
    const fold = new Fold(confirmed, this.#onUse);
    this.#folds.set(projection, fold);
    const stands = this.position === 0 && !this.midBatch;
    if (!this.#started || stands) this.#attached.add(confirmed);
    this.#foldsChanged = true;
    return fold;
  }

  /** The folds that snapshots may be there for. */
  names(): readonly FoldName[] {
    return this.#all()
      .filter(({ problem }) => problem === undefined)
      .map(({ name, version }) => ({ name, version }));
  }

  /** From here on, folds that come are late. */
  start(): void {
    this.#started = true;
  }

  /** Folds that do not stand where the log does. Whole batches have been folded. */
  behind(): readonly ConfirmedFold[] {
    return this.#all().filter((fold) => !this.#attached.has(fold));
  }

  attached(): readonly ConfirmedFold[] {
    return [...this.#attached];
  }

  /** Folds that follow the log and are to be folded again. */
  outdated(): readonly ConfirmedFold[] {
    return [...this.#outdated];
  }

  /** Payloads were erased: what was folded, and what is being built, is to be folded again. */
  erased(): void {
    this.resets++;
    for (const fold of this.#all()) {
      if (this.#attached.has(fold)) this.#outdated.add(fold);
      else fold.reset();
    }
  }

  unsaved(): UnsavedFold[] {
    return this.#all().flatMap(({ name, problem }) => (problem ? [{ name, problem }] : []));
  }

  /** Has `fold`, which stands at `position`, follow the log; instead of `old` if that is another one. */
  attach(fold: ConfirmedFold, old: ConfirmedFold = fold): void {
    for (const rows of this.#kinds.values()) {
      if (rows.confirmed === old && fold !== old) rows.takeOver(fold as Rows["confirmed"]);
    }
    for (const live of this.#folds.values()) {
      if (live.confirmed !== old) continue;
      live.takeOver(fold as ProjectionFold);
      this.#foldsChanged = true;
    }
    this.#attached.delete(old);
    this.#outdated.delete(old);
    this.#attached.add(fold);
  }

  /** Starts on a batch. Throws `corrupt_batch`. What was begun before it must be finished. */
  begin(batch: Batch, settled: readonly string[]): void {
    const reader = new BatchReader(batch);
    const start = this.#startOf(reader);
    this.startAt(start);
    let next = batch.skip;
    const advance = (expired: () => boolean): boolean => {
      while (next < batch.count) {
        const end = Math.min(batch.count, next + STRIDE);
        for (const fold of this.#attached) fold.take(reader, next, end);
        this.folded += end - next;
        next = end;
        if (next < batch.count && expired()) return false;
      }
      for (const fold of this.#attached) fold.release();
      this.position = reader.last;
      // What is left out is done with, too.
      this.folded += this.position - start - (batch.count - batch.skip);
      for (const fold of this.#folds.values()) fold.restack();
      this.#foldsChanged = true;
      // Same step: an event that is confirmed must not be in the overlay any more.
      this.#restack(this.queue.settle(settled));
      return true;
    };
    this.#task = { advance };
  }

  /** The position behind which a batch goes on. Before its next event there may be some that were left out. */
  #startOf(reader: BatchReader): number {
    const { skip, count, firstPosition } = reader.batch;
    const least = skip === 0 ? firstPosition - 1 : reader.position(skip - 1);
    const most = skip < count ? reader.position(skip) - 1 : reader.last;
    const known =
      this.folded > 0
        ? this.position
        : Math.max(0, ...this.#all().map((fold) => fold.position || 0));
    return known >= least && known <= most ? known : least;
  }

  /** Starts on a part of a snapshot. One that cannot be used leaves its fold empty. */
  beginSnapshot({ name, version, position, buckets }: SnapshotNotice): void {
    const fold = this.#all().find((each) => each.name === name && each.version === version);
    if (
      fold === undefined ||
      fold.problem !== undefined ||
      (fold.position !== 0 && fold.position !== position)
    )
      return;
    let next = 0;
    const advance = (expired: () => boolean): boolean => {
      try {
        for (const text of buckets.slice(next)) {
          fold.install(text);
          next++;
          if (next < buckets.length && expired()) return false;
        }
        fold.position = position;
      } catch {
        // It is built from the log instead. Not at position 0, so that no other part of it is taken.
        fold.reset();
        fold.position = Number.NaN;
      }
      return true;
    };
    this.#task = { advance };
  }

  /**
   * The log goes on behind `position`, for the folds that stand there. Throws `corrupt_batch` if what is
   * folded ends elsewhere.
   */
  startAt(position: number): void {
    this.#start = undefined;
    if (position === this.position && this.folded > 0) return;
    if (this.folded > 0) {
      const problem = `it begins behind ${position}`;
      throw tidelogError("corrupt_batch", { position: this.position + 1, problem });
    }
    this.position = position;
    for (const fold of this.#all()) {
      if (Number.isNaN(fold.position)) fold.position = 0;
      if (fold.position === position) this.#attached.add(fold);
      else this.#attached.delete(fold);
    }
    this.#foldsChanged = true;
  }

  /** Everything that wasm had to say was taken in: if the log began anew without a batch, it stands now. */
  drained(): void {
    if (this.#start !== undefined) this.startAt(this.#start);
  }

  /** True if rows are missing: commands must wait until they are built. */
  get kindsBehind(): boolean {
    if (this.#start !== undefined) return false;
    for (const { confirmed } of this.#kinds.values()) {
      if (!this.#attached.has(confirmed)) return true;
    }
    return false;
  }

  /** Goes on with what was begun until it is finished (true) or `expired` says that time is up. */
  advance(expired: () => boolean): boolean {
    if (this.#task === undefined) return true;
    if (!this.#task.advance(expired)) return false;
    this.#task = undefined;
    return true;
  }

  /** Takes a commit in that was just appended, its events at these versions. */
  push(draft: Draft, versions: readonly number[]): void {
    for (const event of this.queue.push(draft, versions)) {
      this.#kinds.get(kindOf(event.stream))?.push(event);
      for (const fold of this.#folds.values()) fold.push(event);
    }
    this.#foldsChanged = true;
  }

  refreshQueue(core: LogCore): void {
    this.#restack(this.queue.refresh(core));
  }

  setConflicts(streams: ReadonlySet<string>): void {
    for (const [kind, rows] of this.#kinds) {
      const keys = [...streams].filter((stream) => kindOf(stream) === kind).map(keyOf);
      rows.setConflicts(new Set(keys));
    }
  }

  /** Forgets what is confirmed: it comes again, from behind `after` on for folds that have snapshots. */
  reset(after = 0): void {
    this.#task = undefined;
    this.#start = after;
    this.position = 0;
    this.folded = 0;
    this.resets++;
    for (const rows of this.#kinds.values()) rows.reset();
    for (const fold of this.#folds.values()) {
      fold.confirmed.reset();
      fold.restack();
    }
    this.#attached.clear();
    this.#outdated.clear();
    for (const fold of this.#all()) this.#attached.add(fold);
    this.#foldsChanged = true;
  }

  /** Folds anew what changed; gives the functions that tell the subscribers. */
  refresh(): (() => void)[] {
    const tellers: (() => void)[] = [];
    for (const rows of this.#kinds.values()) {
      if (rows.isStale) tellers.push(...rows.refresh(this.queue));
    }
    if (this.#foldsChanged) {
      this.#foldsChanged = false;
      for (const fold of this.#folds.values()) {
        if (!this.#attached.has(fold.confirmed)) continue;
        fold.refresh(this.queue.events());
        tellers.push(() => fold.live.tell());
      }
    }
    return tellers;
  }

  unfolded(): UnfoldedStream[] {
    const unfolded: UnfoldedStream[] = [];
    for (const rows of this.#kinds.values()) unfolded.push(...rows.unfoldedStreams());
    return unfolded;
  }

  #all(): ConfirmedFold[] {
    return [
      ...[...this.#kinds.values()].map((rows) => rows.confirmed),
      ...[...this.#folds.values()].map((fold) => fold.confirmed),
    ];
  }

  #restack(streams: ReadonlySet<string>): void {
    if (streams.size === 0) return;
    for (const stream of streams) this.#kinds.get(kindOf(stream))?.restack(keyOf(stream));
    for (const fold of this.#folds.values()) fold.restack();
    this.#foldsChanged = true;
  }
}
