/** A row as bars: who is how long, in shares of the axis. */
import type { Row } from "./figures/figure.ts";
import { niceCeiling } from "./stats.ts";

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** 0 to 1 of the axis. */
  readonly share: number;
  readonly isTidelog: boolean;
}

export interface Plot {
  /** Best first. */
  readonly bars: readonly Bar[];
  /** Where the axis ends, in the row's unit. */
  readonly end: number;
  /** Where the bar that Tidelog is held against stands, 0 to 1; none if it lies beyond the axis. */
  readonly limit: number | undefined;
}

export function rowToPlot(row: Row): Plot {
  const all = Object.entries(row.peers).map(([name, value]) => ({ name, value, isTidelog: false }));
  if (row.value !== null) all.unshift({ name: "Tidelog", value: row.value, isTidelog: true });
  const sign = row.better === "lower" ? 1 : -1;
  all.sort((a, b) => sign * (a.value - b.value));
  const end = niceCeiling(Math.max(0, ...all.map(({ value }) => value)));
  return {
    bars: all.map((bar) => ({ ...bar, share: bar.value / end })),
    end,
    limit: row.bar === null || row.bar > end ? undefined : row.bar / end,
  };
}
