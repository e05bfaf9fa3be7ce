import { describe, expect, test } from "vitest";
import { inventLines, parseLines, referenceDigest } from "./dataset.ts";
import type { Row } from "./figures/figure.ts";
import { allOf, atLeast, atMost } from "./figures/figure.ts";
import {
  checkDigest,
  digestOf,
  foldInto,
  foldLoan,
  type Loans,
  streamToKey,
  UNBORN,
  WrongResult,
} from "./loan.ts";
import { rowToPlot } from "./plot.ts";
import { formatFigure, median, niceCeiling, quantile, seededRandom } from "./stats.ts";
import { STEPS } from "./steps.ts";

describe("samples", () => {
  test("have a median whatever their order and number", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(() => median([])).toThrow("nothing was measured");
  });

  test("have quantiles between two samples", () => {
    expect(quantile([10, 20, 30, 40, 50], 0.25)).toBe(20);
    expect(quantile([0, 10], 0.9)).toBeCloseTo(9);
  });
});

describe("numbers", () => {
  test("are written with three significant digits", () => {
    const written = [0, 0.0174, 0.17, 2.345, 23.45, 234.5, 1449.4, 641_231].map(formatFigure);
    expect(written).toEqual(["0", "0.0174", "0.17", "2.35", "23.5", "235", "1,449", "641,231"]);
    expect(formatFigure(Number.NaN)).toBe("—");
  });

  test("of an axis are round and hold the value", () => {
    expect([0, 0.07, 1, 1.1, 23, 26, 990].map(niceCeiling)).toEqual([1, 0.1, 1, 2, 25, 50, 1000]);
  });

  test("from a seed are the same again", () => {
    const draw = (seed: number) => Array.from({ length: 5 }, seededRandom(seed));
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(3).every((each) => each >= 0 && each < 1)).toBe(true);
  });
});

describe("invented data", () => {
  const lines = inventLines(5000);
  const events = parseLines(lines.join("\n"));

  test("is the same each time and begins the same for any length", () => {
    expect(inventLines(5000)).toEqual(lines);
    expect(inventLines(100)).toEqual(lines.slice(0, 100));
  });

  test("has the shape of the real one", () => {
    const streams = new Set(events.map(({ stream }) => stream));
    expect(events.length / streams.size).toBeGreaterThan(8);
    expect(events.every(({ type }) => STEPS.includes(type))).toBe(true);
    const times = events.map(({ time }) => Date.parse(time));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    for (const stream of streams) {
      expect(events.find((event) => event.stream === stream)?.type).toBe("A_SUBMITTED.complete");
    }
  });
});

describe("the two folds", () => {
  const text = inventLines(3000).join("\n");
  const events = parseLines(text);

  test("give the same rows", () => {
    const pure: Loans = new Map();
    for (const { stream, type, data } of events) {
      const key = streamToKey(stream);
      pure.set(key, foldLoan(pure.get(key) ?? UNBORN, type, data));
    }
    expect(digestOf(pure)).toEqual(referenceDigest(text));
    expect(digestOf(pure).events).toBe(3000);
  });

  test("are told apart by one changed event", () => {
    const changed: Loans = new Map();
    for (const [i, event] of events.entries()) {
      foldInto(changed, i === 1500 ? { ...event, data: { resource: "someone else" } } : event);
    }
    expect(() => checkDigest(digestOf(changed), referenceDigest(text))).toThrow(WrongResult);
  });
});

describe("a bar", () => {
  test("is held at its edge, and not by what was not measured", () => {
    expect(atMost("a", 12, 12, "ms").ok).toBe(true);
    expect(atMost("a", 12.1, 12, "ms").ok).toBe(false);
    expect(atLeast("a", 12, 12, "ms").ok).toBe(true);
    expect(atMost("a", undefined, 12, "ms").ok).toBe(false);
    expect(atLeast("a", 12, undefined, "ms").ok).toBe(false);
  });

  test("of several conditions is held if all are", () => {
    const held = atMost("first", 1, 2, "ms");
    const missed = atLeast("second", 1, 2, "ms");
    expect(allOf([held, held], {}).ok).toBe(true);
    expect(allOf([held, missed], {})).toMatchObject({ ok: false, value: 1, bar: 2 });
  });
});

describe("a plot", () => {
  const row: Row = {
    id: "open",
    figure: "cold open",
    value: 40,
    unit: "ms",
    bar: 60,
    rule: "≤ 60 ms",
    ok: true,
    better: "lower",
    peers: { slow: 160, quick: 20 },
    without: {},
    wrong: [],
  };

  test("shows the best first, in shares of a round axis", () => {
    const { bars, end, limit } = rowToPlot(row);
    expect(bars.map(({ name }) => name)).toEqual(["quick", "Tidelog", "slow"]);
    expect(end).toBe(200);
    expect(bars.map(({ share }) => share)).toEqual([0.1, 0.2, 0.8]);
    expect(limit).toBe(0.3);
    const more = rowToPlot({ ...row, better: "higher" });
    expect(more.bars.map(({ name }) => name)).toEqual(["slow", "Tidelog", "quick"]);
  });

  test("leaves out what was not measured, and a bar beyond the axis", () => {
    const { bars, limit } = rowToPlot({ ...row, value: null, bar: 1000 });
    expect(bars.some(({ isTidelog }) => isTidelog)).toBe(false);
    expect(limit).toBeUndefined();
    expect(rowToPlot({ ...row, value: null, peers: {} }).bars).toEqual([]);
  });
});
