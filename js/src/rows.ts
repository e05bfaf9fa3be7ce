/**
 * The rows of one kind in two layers: the confirmed fold of each stream, and on top of it the fold of
 * what is pending. Only streams that changed are folded again, and only rows that changed become new
 * objects.
 */
import type { StreamDefinition } from "./define.js";
import { type Folded, foldInto, type Report, unborn } from "./fold.js";
import { callListener } from "./live.js";
import { LiveQuery, queryKey, type RowSource } from "./query.js";
import type { QueueMirror } from "./queue.js";
import type { Live, RecordedEvent, Row, RowQuery, UnfoldedStream } from "./types.js";

/** So many idle queries and row objects are kept for their identity; correctness does not depend on it. */
const KEPT = 1024;

export class Rows implements RowSource {
  readonly definition: StreamDefinition;
  readonly #report: Report;
  readonly #onUse: () => void;
  readonly #confirmed = new Map<string, Folded>();
  readonly #shown = new Map<string, Row<unknown>>();
  readonly #unfolded = new Map<string, UnfoldedStream>();
  readonly #dirty = new Set<string>();
  #conflicts: ReadonlySet<string> = new Set();
  readonly #watchers = new Map<string, Set<(row: Row<unknown> | undefined) => void>>();
  readonly #watchedQueries = new Set<LiveQuery>();
  readonly #queries = new Map<string, LiveQuery>();
  readonly #rows = new Map<string, Live<Row<unknown> | undefined>>();
  #revision = 0;

  constructor(definition: StreamDefinition, report: Report, onUse: () => void) {
    this.definition = definition;
    this.#report = report;
    this.#onUse = onUse;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Shown rows, in no order. */
  values(): Iterable<Row<unknown>> {
    return this.#shown.values();
  }

  shown(key: string): Row<unknown> | undefined {
    return this.#shown.get(key);
  }

  /** The event of the stream that the code does not know, if it holds one. */
  unfolded(key: string): UnfoldedStream | undefined {
    return this.#unfolded.get(key);
  }

  unfoldedStreams(): Iterable<UnfoldedStream> {
    return this.#unfolded.values();
  }

  /** Folds a confirmed event. The row is shown after `refresh`. */
  confirm(event: RecordedEvent): void {
    let folded = this.#confirmed.get(event.key);
    if (folded === undefined) {
      folded = unborn(this.definition);
      this.#confirmed.set(event.key, folded);
    }
    foldInto(this.definition, folded, event, this.#report);
    this.#dirty.add(event.key);
  }

  /** Marks a row whose pending events changed. */
  touch(key: string): void {
    this.#dirty.add(key);
  }

  /** The rows that a parked commit touches. */
  setConflicts(keys: ReadonlySet<string>): void {
    for (const key of this.#conflicts) if (!keys.has(key)) this.#dirty.add(key);
    for (const key of keys) if (!this.#conflicts.has(key)) this.#dirty.add(key);
    this.#conflicts = keys;
  }

  /** Forgets everything confirmed: the log starts anew. */
  reset(): void {
    for (const key of this.#shown.keys()) this.#dirty.add(key);
    this.#confirmed.clear();
  }

  /** The stream's fold with `pending` on top: what a command decides on. */
  foldWith(key: string, pending: readonly RecordedEvent[]): Folded {
    const confirmed = this.#confirmed.get(key);
    const folded = confirmed ? { ...confirmed } : unborn(this.definition);
    for (const event of pending) {
      // A pending event's version is its place on today's confirmed state, whatever it was when written.
      foldInto(this.definition, folded, { ...event, version: folded.version + 1 }, this.#report);
    }
    return folded;
  }

  /** Folds what changed anew; gives the functions that tell the subscribers. */
  refresh(queue: QueueMirror): (() => void)[] {
    const changed = new Map<string, Row<unknown> | undefined>();
    for (const key of this.#dirty) {
      const row = this.#fold(key, queue.eventsOf(`${this.definition.kind}/${key}`));
      if (row === this.#shown.get(key)) continue;
      if (row) this.#shown.set(key, row);
      else this.#shown.delete(key);
      changed.set(key, row);
    }
    this.#dirty.clear();
    if (changed.size === 0) return [];
    this.#revision++;
    return this.#tellers(changed);
  }

  /** One row as a live value. */
  row(key: string): Live<Row<unknown> | undefined> {
    return kept(this.#rows, key, () => this.#liveRow(key));
  }

  /** The live result of a query; equal queries share one. */
  query(query: RowQuery<unknown> = {}): LiveQuery {
    return kept(
      this.#queries,
      queryKey(query),
      () =>
        new LiveQuery(query, this, (watched) => {
          this.#watchedQueries.add(watched);
          this.#onUse();
        }),
    );
  }

  #liveRow(key: string): Live<Row<unknown> | undefined> {
    return {
      getSnapshot: () => this.#shown.get(key),
      subscribe: (listener) => {
        const entry = (row: Row<unknown> | undefined) => listener(row);
        const watchers = this.#watchers.get(key) ?? new Set();
        this.#watchers.set(key, watchers.add(entry));
        this.#onUse();
        return () => {
          watchers.delete(entry);
          if (watchers.size === 0 && this.#watchers.get(key) === watchers)
            this.#watchers.delete(key);
        };
      },
    };
  }

  #fold(key: string, pending: readonly RecordedEvent[]): Row<unknown> | undefined {
    const folded = pending.length > 0 ? this.foldWith(key, pending) : this.#confirmed.get(key);
    if (folded?.unfolded) this.#unfolded.set(key, folded.unfolded);
    else this.#unfolded.delete(key);
    if (folded === undefined || folded.version === 0) return undefined;
    const row: Row<unknown> = {
      key,
      version: folded.version,
      sync: this.#conflicts.has(key) ? "conflict" : pending.length > 0 ? "pending" : "synced",
      state: folded.state,
      createdAt: folded.createdAt,
      updatedAt: folded.updatedAt,
      lastType: folded.lastType,
    };
    const old = this.#shown.get(key);
    return old && sameRow(old, row) ? old : row;
  }

  #tellers(changed: ReadonlyMap<string, Row<unknown> | undefined>): (() => void)[] {
    const tellers: (() => void)[] = [];
    for (const query of this.#watchedQueries) {
      if (!query.watched) this.#watchedQueries.delete(query);
      else if (query.update(changed)) tellers.push(() => query.tell());
    }
    for (const key of this.#watchers.size > 0 ? changed.keys() : []) {
      const watchers = this.#watchers.get(key);
      if (watchers === undefined) continue;
      tellers.push(() => {
        for (const watcher of [...watchers]) callListener(watcher, this.#shown.get(key));
      });
    }
    return tellers;
  }
}

function kept<T>(cache: Map<string, T>, key: string, make: () => T): T {
  const known = cache.get(key);
  if (known !== undefined) return known;
  if (cache.size >= KEPT) cache.clear();
  const made = make();
  cache.set(key, made);
  return made;
}

function sameRow(a: Row<unknown>, b: Row<unknown>): boolean {
  return (
    Object.is(a.state, b.state) &&
    a.version === b.version &&
    a.sync === b.sync &&
    a.createdAt === b.createdAt &&
    a.updatedAt === b.updatedAt &&
    a.lastType === b.lastType
  );
}
