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
    await bench.inTurn("import", bench.subjects, async (info, round) => {
      const { id } = info;
      const size = bench.sizeFor(info, "base");
      const database = bench.freshName(id);
      const { ms } = await bench.host.run(await bench.fillRequest(id, size, database));
      samples.add(id, (bench.eventsOf(size) / ms) * 1000);
      if (round === 0) bench.keepFilled(id, size, database);
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
        events: bench.eventsOf("base"),
        rounds: samples.counts(),
        note: "NDJSON text in memory, parsing and folding included, until all is on disk",
      },
    );
  },
};
