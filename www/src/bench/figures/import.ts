import { Samples } from "../bench.ts";
import { allOf, atLeast, type Figure, times } from "./figure.ts";

export const bulkImport: Figure = {
  id: "import",
  name: "bulk import of 100,000 events",
  unit: "events/s",
  better: "higher",
  rule: "≤ 1.3 × raw segments; ahead of every peer",
  async measure(bench) {
    const samples = new Samples();
    const events = bench.eventsOf("base");
    await bench.inTurn("import", bench.subjects, async ({ id }, round) => {
      const database = bench.freshName(id);
      const { ms } = await bench.host.run(await bench.fillRequest(id, "base", database));
      samples.add(id, (events / ms) * 1000);
      if (round === 0) bench.keepFilled(id, "base", database);
      else await bench.clean(database);
    });
    const value = samples.median("tidelog");
    return allOf(
      [
        atLeast(
          "raw segments in 1.3 × the time",
          value,
          times(1 / 1.3, samples.median("segments")),
          "events/s",
        ),
        atLeast("ahead of every peer", value, samples.best("higher"), "events/s"),
      ],
      samples.peers(),
      {
        events,
        rounds: samples.counts(),
        note: "NDJSON text in memory, parsing and folding included, until all is on disk",
      },
    );
  },
};
