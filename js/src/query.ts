/** Live queries: filter, order and limit over shown rows, kept up to date row by row. */
import { Cell } from "./live.js";
import type { Live, Row, RowQuery } from "./types.js";

type AnyRow = Row<unknown>;

/** Where a query's rows come from. */
export interface RowSource {
  /** Grows with every change. */
  readonly revision: number;
  values(): Iterable<AnyRow>;
}

const NO_ROWS: readonly AnyRow[] = [];

/**
 * One query's result. While someone watches, each change is merged into the ordered list; without
 * watchers it is computed again when it is read and rows have changed since.
 */
export class LiveQuery implements Live<readonly AnyRow[]> {
  readonly #matches: (row: AnyRow) => boolean;
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
    if (this.#revision !== this.#source.revision) {
      this.#take(queryRows(this.#source.values(), this.#matches, this.#compare));
    }
    return this.#cell.getSnapshot();
  };

  /**
   * Takes the rows that changed (`undefined`: gone) in the newest revision. True if the result did. If the
   * query's own functions throw, whoever reads the result next gets the throw.
   */
  update(changed: ReadonlyMap<string, AnyRow | undefined>): boolean {
    const kept = this.#ordered.filter((row) => !changed.has(row.key));
    try {
      const fresh = queryRows(present(changed), this.#matches, this.#compare);
      const untouched = kept.length === this.#ordered.length && fresh.length === 0;
      this.#take(untouched ? this.#ordered : merge(kept, fresh, this.#compare));
      return !untouched;
    } catch {
      this.#revision = -1;
      return false;
    }
  }

  tell(): void {
    this.#cell.tell();
  }

  #take(ordered: readonly AnyRow[]): void {
    this.#ordered = ordered;
    this.#revision = this.#source.revision;
    const result = ordered.length > this.#limit ? ordered.slice(0, this.#limit) : ordered;
    const old = this.#cell.getSnapshot();
    const same = old.length === result.length && result.every((row, i) => row === old[i]);
    if (!same) this.#cell.set(result);
  }
}

/** The result of a query over rows that do not change. */
export function runQuery(rows: Iterable<AnyRow>, query: RowQuery<unknown> = {}): readonly AnyRow[] {
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

function* present(changed: ReadonlyMap<string, AnyRow | undefined>): Iterable<AnyRow> {
  for (const row of changed.values()) if (row) yield row;
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

function queryToMatches(where: RowQuery<unknown>["where"]): (row: AnyRow) => boolean {
  if (where === undefined) return () => true;
  if (typeof where === "function") return where as (row: AnyRow) => boolean;
  const fields = Object.entries(where as object);
  return (row) => fields.every(([name, value]) => Object.is(fieldOf(row, name), value));
}

function queryToCompare(query: RowQuery<unknown>): (a: AnyRow, b: AnyRow) => number {
  const orderBy = query.orderBy as string | ((a: AnyRow, b: AnyRow) => number) | undefined;
  const sign = query.direction === "desc" ? -1 : 1;
  if (orderBy === undefined) return (a, b) => sign * compareCreated(a, b);
  const compare =
    typeof orderBy === "function"
      ? orderBy
      : (a: AnyRow, b: AnyRow) => compareValues(fieldOf(a, orderBy), fieldOf(b, orderBy));
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

function fieldOf(row: AnyRow, name: string): unknown {
  return (row.state as Readonly<Record<string, unknown>> | null | undefined)?.[name];
}
