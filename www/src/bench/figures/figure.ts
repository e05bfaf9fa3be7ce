/** A figure of the benchmark: how it is measured, and the row it gives. */
import type { Bench } from "../bench.ts";

export type FigureId =
  | "append"
  | "told"
  | "burst"
  | "import"
  | "open"
  | "snapshot"
  | "disk"
  | "history"
  | "longtask"
  | "tabs"
  | "memory"
  | "rebase"
  | "live";

export interface Figure {
  readonly id: FigureId;
  /** What a visitor's page does not have: logs on the server for whoever measures. */
  readonly needs?: "server";
  /** As the table names it. */
  readonly name: string;
  readonly unit: string;
  readonly better: "lower" | "higher";
  /** The bar in words. */
  readonly rule: string;
  /** Measures every subject. What cannot be measured at all throws. */
  measure(bench: Bench): Promise<Measured>;
}

export interface Measured {
  /** Tidelog's; none if it could not be measured. */
  readonly value: number | undefined;
  /** What the value is held against; none if the reference could not be measured. */
  readonly bar: number | undefined;
  readonly ok: boolean;
  /** The others', by name. */
  readonly peers: Peers;
  /** The conditions of the bar one by one, where there are several. */
  readonly parts?: readonly Part[];
  /** What else is worth knowing. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

export type Peers = Readonly<Record<string, number>>;

export interface Part {
  readonly name: string;
  readonly value: number | null;
  readonly bar: number | null;
  readonly unit: string;
  readonly ok: boolean;
}

/** A line of the result. JSON: what is missing is `null`. */
export interface Row {
  readonly id: FigureId;
  readonly figure: string;
  readonly value: number | null;
  readonly unit: string;
  readonly bar: number | null;
  readonly rule: string;
  readonly ok: boolean;
  readonly better: "lower" | "higher";
  readonly peers: Peers;
  readonly parts?: readonly Part[];
  readonly detail?: Readonly<Record<string, unknown>>;
  /** Who is not in this row, and why. */
  readonly without: Readonly<Record<string, string>>;
  /** Results that a plain fold of the data does not confirm. */
  readonly wrong: readonly string[];
}

/** A part that holds if the value is at most the bar. */
export function atMost(
  name: string,
  value: number | undefined,
  bar: number | undefined,
  unit: string,
): Part {
  return part(name, value, bar, unit, (a, b) => a <= b);
}

/** A part that holds if the value is at least the bar. */
export function atLeast(
  name: string,
  value: number | undefined,
  bar: number | undefined,
  unit: string,
): Part {
  return part(name, value, bar, unit, (a, b) => a >= b);
}

function part(
  name: string,
  value: number | undefined,
  bar: number | undefined,
  unit: string,
  holds: (value: number, bar: number) => boolean,
): Part {
  const ok = value !== undefined && bar !== undefined && holds(value, bar);
  return { name, value: value ?? null, bar: bar ?? null, unit, ok };
}

/** A figure of several conditions: it is `ok` if all are. The first gives its value and bar. */
export function allOf(
  [first, ...rest]: readonly [Part, ...Part[]],
  peers: Peers,
  detail?: Measured["detail"],
): Measured {
  const parts = [first, ...rest];
  return {
    value: first.value ?? undefined,
    bar: first.bar ?? undefined,
    ok: parts.every(({ ok }) => ok),
    peers,
    ...(rest.length > 0 ? { parts } : {}),
    ...(detail ? { detail } : {}),
  };
}

/** `factor` times what may not have been measured. */
export function times(factor: number, value: number | undefined): number | undefined {
  return value === undefined ? undefined : factor * value;
}
