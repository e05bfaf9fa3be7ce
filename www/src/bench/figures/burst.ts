import { Samples } from "../bench.ts";
import { allOf, atLeast, type Figure, times } from "./figure.ts";

export const burst: Figure = {
  id: "burst",
  name: "10,000 appends not awaited",
  unit: "events/s",
  better: "higher",
  rule: "≥ 100 × raw one-transaction-per-event; ahead of every peer",
  async measure(bench) {
    const samples = new Samples();
    const many = Math.min(10_000, Math.max(100, Math.round(bench.eventsOf("base") / 10)));
    /** A transaction each: the rate does not depend on their number, only the patience does. */
    const few = Math.max(50, many / 10);
    await bench.inTurn("burst", bench.subjects, async ({ id, small }) => {
      const database = bench.freshName(id);
      const count = id === "records" || small ? few : many;
      const { ms } = await bench.host.run({ kind: "burst", subject: id, database, count });
      samples.add(id, (count / ms) * 1000);
      await bench.clean(database);
    });
    const value = samples.median("tidelog");
    const raw = times(100, samples.median("records"));
    return allOf(
      [
        atLeast("100 × a transaction for each event", value, raw, "events/s"),
        atLeast("ahead of every peer", value, samples.best("higher"), "events/s"),
      ],
      samples.peers(),
      { events: many, few, note: `the rates of raw records and LiveStore from ${few} appends` },
    );
  },
};
