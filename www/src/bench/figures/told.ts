import { Samples } from "../bench.ts";
import { allOf, atMost, type Figure } from "./figure.ts";

/** A difference that a clock with steps of 0.1 ms cannot tell from none. */
const FLAT_WITHIN = 0.05;

export const told: Figure = {
  id: "told",
  name: "command → subscriber told, with 262,200 events open, p50",
  unit: "ms",
  better: "lower",
  rule: "≤ 0.2 ms, flat in the log's length",
  async measure(bench) {
    const samples = new Samples();
    const short = new Samples();
    const { quick, rounds } = bench.options;
    const count = Math.ceil((quick ? 60 : 300) / rounds);
    await bench.inTurn("told", bench.subjects, async (info) => {
      const { id } = info;
      const ask = async (database: string) => {
        const budget = quick ? 3_000 : 8_000;
        return bench.host.run({ kind: "told", subject: id, database, count, budget });
      };
      if (id === "tidelog") short.add(id, ...(await ask(await bench.filled(id, "small"))).ms);
      samples.add(id, ...(await ask(await bench.filled(id, bench.sizeFor(info, "large")))).ms);
    });
    const few = short.median("tidelog");
    const many = samples.median("tidelog");
    const limit = few === undefined ? undefined : Math.max(1.2 * few, few + FLAT_WITHIN);
    return allOf(
      [atMost("told", many, 0.2, "ms"), atMost("flat: the same on a short log", many, limit, "ms")],
      samples.peers(),
      {
        events: bench.eventsOf("large"),
        short: { events: bench.eventsOf("small"), ms: few },
        samples: samples.counts(),
      },
    );
  },
};
