/** Live queries: filter, order and limit over shown rows, kept up to date row by row. */
import { Cell } from "./live.js";
import type { Live, Row, RowQuery } from "./types.js";

type AnyRow = Row<unknown>;

/** Where a query's rows come from. */
export interface RowSource {
  /** Grows with every change. */
  readonly revision: number;
  /** Those whose state passes `test`; all without one. */
  values(test?: (state: unknown) => boolean): Iterable<AnyRow>;
}

/** A row that changed; `undefined`: it did not exist before, or does not any more. */
export interface RowChange {
  readonly key: string;
  readonly before: AnyRow | undefined;
  readonly after: AnyRow | undefined;
}

/** Up to so many changes are put in place one by one, which costs less than going through all rows. */
const FEW = 32;

const NO_ROWS: readonly AnyRow[] = [];

/**
 * One query's result. While someone watches, each change is merged into the ordered list; without
 * watchers it is computed again when it is read and rows have changed since.
 */
export class LiveQuery implements Live<readonly AnyRow[]> {
  readonly #matches: (row: AnyRow) => boolean;
  /** What can be said of a row by its state alone. */
  readonly #test: ((state: unknown) => boolean) | undefined;
  readonly #compare: (a: AnyRow, b: AnyRow) => number;
  readonly #limit: number;
  readonly #source: RowSource;
  readonly #cell: Cell<readonly AnyRow[]>;
  /** All that match, in order, as of `#revision`. */
  #ordered: readonly AnyRow[] = NO_ROWS;
  #revision = -1;

  /** @param onSubscribe called with the query, to have `update` called for it from now on */
  constructor(
    query: RowQuery<unknown>,
    source: RowSource,
    onSubscribe: (query: LiveQuery) => void,
  ) {
    this.#test = queryToTest(query.where);
    this.#matches = queryToMatches(query.where);
    this.#compare = queryToCompare(query);
    this.#limit = query.limit ?? Number.POSITIVE_INFINITY;
    this.#source = source;
    this.#cell = new Cell(NO_ROWS, () => {
      this.getSnapshot();
      onSubscribe(this);
    });
  }

  get watched(): boolean {
    return this.#cell.watched;
  }

  readonly subscribe = (listener: (rows: readonly AnyRow[]) => void): (() => void) =>
    this.#cell.subscribe(listener);

  readonly getSnapshot = (): readonly AnyRow[] => {
    if (this.#revision !== this.#source.revision) this.#compute();
    return this.#cell.getSnapshot();
  };

  /**
   * Takes the rows that changed in the newest revision. True if the result did. If the query's own functions
   * throw, whoever reads the result next gets the throw.
   */
  update(changes: readonly RowChange[]): boolean {
    return this.#guarded(() => {
      if (changes.length <= FEW) this.#replace(changes);
      else this.#merge(changes);
    });
  }

  /** Takes all rows anew, as {@link update}. */
  renew(): boolean {
    return this.#guarded(() => this.#compute());
  }

  tell(): void {
    this.#cell.tell();
  }

  #guarded(run: () => void): boolean {
    const before = this.#cell.getSnapshot();
    try {
      run();
      return this.#cell.getSnapshot() !== before;
    } catch {
      this.#revision = -1;
      return false;
    }
  }

  #compute(): void {
    const rows = this.#source.values(this.#test);
    this.#take(queryRows(rows, this.#test ? () => true : this.#matches, this.#compare));
  }

  #replace(changes: readonly RowChange[]): void {
    let ordered: AnyRow[] | undefined;
    for (const { before, after } of changes) {
      // A row that was not in the list need not be looked for.
      const at = before ? placeOf(ordered ?? this.#ordered, before, this.#compare) : -1;
      const stays = after !== undefined && this.#matches(after);
      if (at < 0 && !stays) continue;
      ordered ??= this.#ordered.slice();
      if (at >= 0) ordered.splice(at, 1);
      if (stays) ordered.splice(placeFor(ordered, after, this.#compare), 0, after);
    }
    this.#take(ordered ?? this.#ordered, ordered !== undefined);
  }

  #merge(changes: readonly RowChange[]): void {
    const gone = new Set(changes.map(({ key }) => key));
    const kept = this.#ordered.filter((row) => !gone.has(row.key));
    const fresh = queryRows(present(changes), this.#matches, this.#compare);
    this.#take(merge(kept, fresh, this.#compare));
  }

  /** @param changed it is known to differ from what was there, so that nothing need be compared */
  #take(ordered: readonly AnyRow[], changed = false): void {
    const unchanged = ordered === this.#ordered && this.#revision >= 0;
    this.#ordered = ordered;
    this.#revision = this.#source.revision;
    if (unchanged) return;
    const result = ordered.length > this.#limit ? ordered.slice(0, this.#limit) : ordered;
    if (changed && result === ordered) {
      this.#cell.set(result);
      return;
    }
    const old = this.#cell.getSnapshot();
    const same = old.length === result.length && result.every((row, i) => row === old[i]);
    if (!same) this.#cell.set(result);
  }
}

/** Index of a row in an ordered list; -1 if it is not there. */
function placeOf(
  rows: readonly AnyRow[],
  row: AnyRow,
  compare: (a: AnyRow, b: AnyRow) => number,
): number {
  const end = placeFor(rows, row, compare);
  // It stands among those that compare equal to it, just before `end`.
  if (rows[end - 1] === row) return end - 1;
  return rows.indexOf(row);
}

/** Where a row belongs: behind all that do not come after it. */
function placeFor(
  rows: readonly AnyRow[],
  row: AnyRow,
  compare: (a: AnyRow, b: AnyRow) => number,
): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(rows[middle] as AnyRow, row) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The result of a query over rows that do not change. */
export function runQuery(source: RowSource, query: RowQuery<unknown> = {}): readonly AnyRow[] {
  const rows = source.values(queryToTest(query.where));
  const ordered = queryRows(rows, queryToMatches(query.where), queryToCompare(query));
  return query.limit === undefined ? ordered : ordered.slice(0, query.limit);
}

/** Equal for queries that mean the same. Functions and objects are told apart by identity. */
export function queryKey(query: RowQuery<unknown>): string {
  const { where } = query;
  const fields =
    typeof where === "object" && where !== null
      ? Object.entries(where)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => [name, keyOfValue(value)])
      : keyOfValue(where);
  return JSON.stringify([fields, keyOfValue(query.orderBy), query.direction ?? "asc", query.limit]);
}

const identities = new WeakMap<object, number>();
let identity = 0;

function keyOfValue(value: unknown): string {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    return `${typeof value}:${String(value)}`;
  }
  const known = identities.get(value) ?? ++identity;
  identities.set(value, known);
  return `#${known}`;
}

function* present(changes: readonly RowChange[]): Iterable<AnyRow> {
  for (const { after } of changes) if (after) yield after;
}

function queryRows(
  rows: Iterable<AnyRow>,
  matches: (row: AnyRow) => boolean,
  compare: (a: AnyRow, b: AnyRow) => number,
): AnyRow[] {
  const found: AnyRow[] = [];
  for (const row of rows) if (matches(row)) found.push(row);
  return found.sort(compare);
}

function merge(
  a: readonly AnyRow[],
  b: readonly AnyRow[],
  compare: (a: AnyRow, b: AnyRow) => number,
): AnyRow[] {
  const merged: AnyRow[] = [];
  let i = 0;
  for (const next of b) {
    for (let row = a[i]; row !== undefined && compare(row, next) <= 0; row = a[++i])
      merged.push(row);
    merged.push(next);
  }
  for (; i < a.length; i++) merged.push(a[i] as AnyRow);
  return merged;
}

function queryToTest(where: RowQuery<unknown>["where"]): ((state: unknown) => boolean) | undefined {
  if (where === undefined || typeof where === "function") return undefined;
  const fields = Object.entries(where as object);
  return (state) => fields.every(([name, value]) => Object.is(fieldOf(state, name), value));
}

function queryToMatches(where: RowQuery<unknown>["where"]): (row: AnyRow) => boolean {
  if (where === undefined) return () => true;
  if (typeof where === "function") return where as (row: AnyRow) => boolean;
  const test = queryToTest(where);
  return (row) => test === undefined || test(row.state);
}

function queryToCompare(query: RowQuery<unknown>): (a: AnyRow, b: AnyRow) => number {
  const orderBy = query.orderBy as string | ((a: AnyRow, b: AnyRow) => number) | undefined;
  const sign = query.direction === "desc" ? -1 : 1;
  if (orderBy === undefined) return (a, b) => sign * compareCreated(a, b);
  const compare =
    typeof orderBy === "function"
      ? orderBy
      : (a: AnyRow, b: AnyRow) =>
          compareValues(fieldOf(a.state, orderBy), fieldOf(b.state, orderBy));
  return (a, b) => sign * compare(a, b) || compareCreated(a, b);
}

/** The same on every device, and it does not move when a row is confirmed. */
function compareCreated(a: AnyRow, b: AnyRow): number {
  return a.createdAt - b.createdAt || compareValues(a.key, b.key);
}

/** By code units, not by locale, so that every device agrees; what is absent comes last. */
function compareValues(a: unknown, b: unknown): number {
  if (Object.is(a, b)) return 0;
  if (a === undefined || a === null) return 1;
  if (b === undefined || b === null) return -1;
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
}

function fieldOf(state: unknown, name: string): unknown {
  return (state as Readonly<Record<string, unknown>> | null | undefined)?.[name];
}
