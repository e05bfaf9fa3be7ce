import { Samples } from "../bench.ts";
import { allOf, atMost, type Figure, times } from "./figure.ts";

export const append: Figure = {
  id: "append",
  name: "append one event, durable, p50",
  unit: "ms",
  better: "lower",
  rule: "≤ 1.2 × raw single put of the same durability",
  async measure(bench) {
    const samples = new Samples();
    const puts = new Samples();
    const { quick, rounds } = bench.options;
    const count = Math.ceil((quick ? 60 : 300) / rounds);
    await bench.inTurn("append", bench.subjects, async (info) => {
      const { id } = info;
      const database = await bench.filled(id, bench.sizeFor(info, "base"));
      const budget = quick ? 3_000 : 8_000;
      const { ms, raw } = await bench.host.run({
        kind: "append",
        subject: id,
        database,
        count,
        budget,
      });
      samples.add(id, ...ms);
      puts.add(id, ...raw);
    });
    const raw = puts.median("tidelog");
    const peers = { ...(raw === undefined ? {} : { "raw single put": raw }), ...samples.peers() };
    const part = atMost("append, durable", samples.median("tidelog"), times(1.2, raw), "ms");
    return allOf([part], peers, {
      events: bench.eventsOf("base"),
      samples: samples.counts(),
      note: "each append in turn with a raw put, on a log of this many events",
    });
  },
};
