/**
 * The rows of one kind in two layers: the confirmed fold of each stream, and on top of it the fold of
 * what is pending. Row objects are made for those who ask: a stream that nobody looks at costs no more
 * than its state. Only streams that changed are looked at again, and only rows that changed become new
 * objects.
 */
import type { KindFold } from "./confirmed.js";
import type { StreamDefinition } from "./define.js";
import type { Folded, Folder } from "./fold.js";
import { callListener } from "./live.js";
import { notPlain } from "./plain.js";
import { LiveQuery, queryKey, type RowChange, type RowSource } from "./query.js";
import type { QueueMirror } from "./queue.js";
import type { Live, RecordedEvent, Row, RowQuery, UnfoldedStream } from "./types.js";

/** So many idle queries and row objects are kept for their identity; correctness does not depend on it. */
const KEPT = 1024;

type AnyRow = Row<unknown>;

export class Rows implements RowSource {
  readonly definition: StreamDefinition;
  readonly #folder: Folder;
  readonly #onUse: () => void;
  #confirmed: KindFold;
  /** Streams with pending events, these folded in. */
  readonly #overlay = new Map<string, Folded>();
  /** Streams whose overlay does not fit any more. */
  readonly #stale = new Set<string>();
  /** Row objects that somebody has seen, and is to see again while nothing changes. */
  readonly #made = new Map<string, AnyRow>();
  /** Rows as they were before a change that is not shown yet; `undefined`: there was none. */
  readonly #before = new Map<string, AnyRow | undefined>();
  /** Streams that changed otherwise than by a confirmed event. */
  readonly #touched = new Set<string>();
  #conflicts: ReadonlySet<string> = new Set();
  readonly #watchers = new Map<string, Set<(row: AnyRow | undefined) => void>>();
  readonly #watchedQueries = new Set<LiveQuery>();
  readonly #queries = new Map<string, LiveQuery>();
  readonly #rows = new Map<string, Live<AnyRow | undefined>>();
  #revision = 0;
  /** False until the first `refresh`: nothing is shown while opening. */
  #visible = false;
  /** All rows may have changed. */
  #anew = false;

  constructor(confirmed: KindFold, onUse: () => void) {
    this.definition = confirmed.folder.definition;
    this.#folder = confirmed.folder;
    this.#confirmed = confirmed;
    this.#onUse = onUse;
  }

  get confirmed(): KindFold {
    return this.#confirmed;
  }

  /** Is there anything for {@link refresh} to do? */
  get isStale(): boolean {
    const { changed } = this.#confirmed;
    const same = changed.length === 0 && this.#touched.size === 0 && this.#stale.size === 0;
    return !same || !this.#visible || this.#anew;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Shown rows whose state passes `test`, in no order. */
  *values(test: (state: unknown) => boolean = () => true): Iterable<AnyRow> {
    if (!this.#visible) return;
    const { streams } = this.#confirmed;
    for (const [key, folded] of streams) {
      const row = this.#rowIf(key, this.#overlay.get(key) ?? folded, test);
      if (row) yield row;
    }
    for (const [key, folded] of this.#overlay) {
      const row = streams.has(key) ? undefined : this.#rowIf(key, folded, test);
      if (row) yield row;
    }
    // Rows that are gone, but not yet from the screen: the log began anew.
    if (!this.#anew) return;
    for (const [key, row] of this.#made) {
      if (!streams.has(key) && !this.#overlay.has(key) && test(row.state)) yield row;
    }
  }

  shown(key: string): AnyRow | undefined {
    if (!this.#visible) return undefined;
    const made = this.#made.get(key);
    if (made) return made;
    if (this.#before.has(key)) return this.#before.get(key);
    const row = this.#make(key);
    if (row) this.#made.set(key, row);
    return row;
  }

  /** Version of the stream without what is pending. */
  confirmedVersion(key: string): number {
    return this.#confirmed.streams.get(key)?.version ?? 0;
  }

  /** What the app's code did not know: of all streams. */
  *unfoldedStreams(): Iterable<UnfoldedStream> {
    yield* this.#confirmed.unfolded.values();
    for (const [key, { unfolded }] of this.#overlay) {
      if (unfolded && !this.#confirmed.unfolded.has(key)) yield unfolded;
    }
  }

  /** Folds an event that was just appended on top of what is shown. */
  push(event: RecordedEvent): void {
    const { key } = event;
    // How it was shown need not be remembered: it is shown anew in this same step.
    this.#touched.add(key);
    if (this.#stale.has(key)) return;
    let folded = this.#overlay.get(key);
    if (folded === undefined) {
      folded = this.#confirmed.streams.get(key)?.copy() ?? this.#folder.unborn();
      this.#overlay.set(key, folded);
    }
    this.#pend(folded, event);
  }

  /** Marks a row whose pending events changed. */
  restack(key: string): void {
    this.touch(key);
    this.#stale.add(key);
  }

  /** Marks a row to be looked at again. */
  touch(key: string): void {
    if (this.#touched.has(key)) return;
    this.#touched.add(key);
    this.#remember(key, this.#overlay.get(key) ?? this.#confirmed.streams.get(key));
  }

  /** The rows that a parked commit touches. */
  setConflicts(keys: ReadonlySet<string>): void {
    for (const key of this.#conflicts) if (!keys.has(key)) this.touch(key);
    for (const key of keys) if (!this.#conflicts.has(key)) this.touch(key);
    this.#conflicts = keys;
  }

  /** Forgets everything confirmed: the log starts anew. */
  reset(): void {
    this.#confirmed.reset();
    this.#changeAll();
  }

  /** Goes on with another fold of the same definition, which stands at the same position. */
  takeOver(confirmed: KindFold): void {
    this.#confirmed.beforeChange = undefined;
    this.#confirmed = confirmed;
    if (this.#visible) this.#listen();
    this.#changeAll();
  }

  /** The shown fold of a stream: what a command decides on. Not to be kept. */
  shownFold(key: string, queue: QueueMirror): Folded {
    if (this.#stale.has(key)) return this.foldWith(key, queue.eventsOf(this.#stream(key)));
    return this.#overlay.get(key) ?? this.#confirmed.streams.get(key) ?? this.#folder.unborn();
  }

  /** The stream's fold with `pending` on top. */
  foldWith(key: string, pending: readonly RecordedEvent[]): Folded {
    return this.foldOnto(this.#confirmed.streams.get(key)?.copy() ?? this.unborn(), pending);
  }

  /** Folds more into a fold that is the caller's own. */
  foldOnto(folded: Folded, events: readonly RecordedEvent[]): Folded {
    for (const event of events) this.#pend(folded, event);
    return folded;
  }

  /** The fold of a stream that does not exist. */
  unborn(): Folded {
    return this.#folder.unborn();
  }

  /** Folds what is pending anew where that changed; gives the functions that tell the subscribers. */
  refresh(queue: QueueMirror): (() => void)[] {
    for (const key of this.#stale) {
      const pending = queue.eventsOf(this.#stream(key));
      if (pending.length > 0) this.#overlay.set(key, this.foldWith(key, pending));
      else this.#overlay.delete(key);
    }
    this.#stale.clear();
    const confirmed = this.#confirmed.takeChanged();
    if (!this.#visible || this.#anew) return this.#showAll();
    if (confirmed.length === 0 && this.#touched.size === 0) return [];
    const changes: RowChange[] = [];
    const watched = this.#watched();
    for (const key of confirmed) {
      if (!this.#touched.has(key)) this.#compare(key, watched, changes);
    }
    for (const key of this.#touched) this.#compare(key, watched, changes);
    this.#touched.clear();
    this.#before.clear();
    this.#revision++;
    return changes.length > 0 ? this.#tellers(changes) : [];
  }

  /** One row as a live value. */
  row(key: string): Live<AnyRow | undefined> {
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

  #liveRow(key: string): Live<AnyRow | undefined> {
    return {
      getSnapshot: () => this.shown(key),
      subscribe: (listener) => {
        const entry = (row: AnyRow | undefined) => listener(row);
        const watchers = this.#watchers.get(key) ?? new Set();
        this.#watchers.set(key, watchers.add(entry));
        // So that the first change is told apart from none.
        this.shown(key);
        this.#onUse();
        return () => {
          watchers.delete(entry);
          if (watchers.size === 0 && this.#watchers.get(key) === watchers)
            this.#watchers.delete(key);
        };
      },
    };
  }

  #stream(key: string): string {
    return `${this.definition.kind}/${key}`;
  }

  /** A pending event's version is its place on today's confirmed state, whatever it was when written. */
  #pend(folded: Folded, event: RecordedEvent): void {
    const version = folded.version + 1;
    const placed = event.version === version ? event : { ...event, version };
    this.#folder.fold(folded, this.#folder.step(event.type), placed);
  }

  #rowIf(key: string, folded: Folded, test: (state: unknown) => boolean): AnyRow | undefined {
    const made = this.#made.get(key);
    if (made) return test(made.state) ? made : undefined;
    if (!this.#before.has(key) && !test(folded.state)) return undefined;
    const row = this.shown(key);
    return row && test(row.state) ? row : undefined;
  }

  /** Keeps the row as it is shown, before the fold changes under it. */
  #remember(key: string, folded: Folded | undefined): void {
    if (!this.#visible || this.#made.has(key) || this.#before.has(key)) return;
    this.#before.set(key, folded && this.#toRow(key, folded));
  }

  #listen(): void {
    this.#confirmed.beforeChange = (key, folded) =>
      this.#remember(key, this.#overlay.get(key) ?? folded);
  }

  #changeAll(): void {
    this.#anew = true;
    for (const key of this.#overlay.keys()) this.#stale.add(key);
  }

  /** The first time, or after everything may have changed: row by row would be slower. */
  #showAll(): (() => void)[] {
    const old = new Map(this.#made);
    for (const [key, row] of this.#before) if (row) old.set(key, row);
    const first = !this.#visible;
    this.#visible = true;
    this.#anew = false;
    this.#touched.clear();
    this.#before.clear();
    this.#revision++;
    if (first) this.#listen();
    for (const [key, row] of old) {
      const fresh = this.#make(key);
      if (fresh === undefined) this.#made.delete(key);
      else this.#made.set(key, sameContent(row, fresh) ? row : fresh);
    }
    const tellers: (() => void)[] = [];
    this.#watched();
    for (const query of this.#watchedQueries) {
      if (query.renew()) tellers.push(() => query.tell());
    }
    for (const key of this.#watchers.keys()) {
      if (this.shown(key) !== old.get(key)) tellers.push(() => this.#tellWatchers(key));
    }
    return tellers;
  }

  /** Is a query watched? */
  #watched(): boolean {
    for (const query of this.#watchedQueries) {
      if (!query.watched) this.#watchedQueries.delete(query);
    }
    return this.#watchedQueries.size > 0;
  }

  #compare(key: string, watched: boolean, changes: RowChange[]): void {
    const made = this.#made.get(key);
    if (made === undefined && !watched && !this.#watchers.has(key)) return;
    const before = made ?? this.#before.get(key);
    const fresh = this.#make(key);
    const after = before && fresh && sameRow(before, fresh) ? before : fresh;
    if (after) this.#made.set(key, after);
    else this.#made.delete(key);
    if (before !== after) changes.push({ key, before, after });
  }

  #make(key: string): AnyRow | undefined {
    const folded = this.#overlay.get(key) ?? this.#confirmed.streams.get(key);
    return folded && this.#toRow(key, folded);
  }

  #toRow(key: string, folded: Folded): AnyRow | undefined {
    if (folded.version === 0) return undefined;
    return {
      key,
      version: folded.version,
      sync: this.#conflicts.has(key) ? "conflict" : this.#overlay.has(key) ? "pending" : "synced",
      state: folded.state,
      createdAt: folded.createdAt,
      updatedAt: folded.updatedAt,
      lastType: folded.lastType,
    };
  }

  #tellers(changes: readonly RowChange[]): (() => void)[] {
    const tellers: (() => void)[] = [];
    for (const query of this.#watchedQueries) {
      if (query.update(changes)) tellers.push(() => query.tell());
    }
    if (this.#watchers.size === 0) return tellers;
    for (const { key } of changes) {
      if (this.#watchers.has(key)) tellers.push(() => this.#tellWatchers(key));
    }
    return tellers;
  }

  #tellWatchers(key: string): void {
    for (const watcher of [...(this.#watchers.get(key) ?? [])]) {
      callListener(watcher, this.shown(key));
    }
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

function sameRow(a: AnyRow, b: AnyRow): boolean {
  return Object.is(a.state, b.state) && sameExceptState(a, b);
}

/** The same by value: where all was folded again, every state is another object. */
function sameContent(a: AnyRow, b: AnyRow): boolean {
  if (!sameExceptState(a, b)) return false;
  if (Object.is(a.state, b.state)) return true;
  const plain = notPlain(a.state) === undefined && notPlain(b.state) === undefined;
  return plain && JSON.stringify(a.state) === JSON.stringify(b.state);
}

function sameExceptState(a: AnyRow, b: AnyRow): boolean {
  return (
    a.version === b.version &&
    a.sync === b.sync &&
    a.createdAt === b.createdAt &&
    a.updatedAt === b.updatedAt &&
    a.lastType === b.lastType
  );
}
