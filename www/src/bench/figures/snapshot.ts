import { DATABASE_PREFIX, Samples } from "../bench.ts";
import { allOf, atMost, type Figure, times } from "./figure.ts";

export const snapshot: Figure = {
  id: "snapshot",
  name: "open with snapshot, 1,000,000 events vs 100,000 with the same state",
  unit: "ms",
  better: "lower",
  rule: "≤ 1.2 × each other, and ≤ 2 × a raw get + parse of the same state",
  async measure(bench) {
    const { host } = bench;
    const samples = { million: [] as number[], base: [] as number[], raw: [] as number[] };
    const expected = {
      million: (await bench.reference("million")).digest,
      base: (await bench.reference("base")).digest,
    };
    const database = `${DATABASE_PREFIX}state`;
    const state = {
      kind: "state",
      database,
      ...bench.dataOf("million"),
      expected: expected.million,
    };
    const tidelog = bench.subjects.filter(({ id }) => id === "tidelog");
    await bench.attempt("raw get + parse", async () => {
      await host.run({ ...state, kind: "state", what: "write" });
    });
    await bench.inTurn("open with snapshot", tidelog, async ({ id: subject }) => {
      for (const size of ["million", "base"] as const) {
        const { ms } = await host.run({
          kind: "open",
          subject,
          database: await bench.filled(subject, size),
          expected: expected[size],
          snapshots: true,
        });
        samples[size].push(ms);
      }
      samples.raw.push((await host.run({ ...state, kind: "state", what: "read" })).ms);
    });
    const of = (list: readonly number[]) => {
      const medians = new Samples();
      medians.add("tidelog", ...list);
      return medians.median("tidelog");
    };
    const [million, base, raw] = [of(samples.million), of(samples.base), of(samples.raw)];
    const apart =
      million === undefined || base === undefined
        ? undefined
        : Math.max(million, base) / Math.min(million, base);
    return allOf(
      [
        atMost("2 × a raw get + parse", million, times(2, raw), "ms"),
        atMost("apart by their length", apart, 1.2, "×"),
      ],
      raw === undefined ? {} : { "raw get + parse of the state": raw },
      {
        events: bench.eventsOf("million"),
        million: { events: bench.eventsOf("million"), ms: million },
        base: { events: bench.eventsOf("base"), ms: base },
      },
    );
  },
};
