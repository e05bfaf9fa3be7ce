import { Samples } from "../bench.ts";
import { allOf, atMost, type Figure, times } from "./figure.ts";

/** As many single appends as the table says. */
const SINGLES = 1000;

export const disk: Figure = {
  id: "disk",
  name: "bytes on disk per event, ids, hashes and versions included",
  unit: "bytes",
  better: "lower",
  rule: "≤ 1.3 × raw JSON segments; the same within 1.2 × after 1,000 single appends and compaction",
  async measure(bench) {
    const samples = new Samples();
    const { host } = bench;
    const events = bench.eventsOf("base");
    const singles = Math.min(SINGLES, Math.round(events / 100));
    let after: number | undefined;
    let withSnapshot: number | undefined;
    for (const { id, name } of bench.subjects) {
      bench.say(`bytes on disk: ${name}`);
      await bench.attempt(name, async () => {
        const fill = await bench.fillRequest(id, "base", bench.freshName(id), false);
        samples.add(id, (await host.bytesAfter([fill])) / events);
        if (id !== "tidelog") return;
        const more = await bench.fillRequest(id, "base", bench.freshName(id), false);
        after = (await host.bytesAfter([{ ...more, singles }])) / (events + singles);
        const both = await bench.fillRequest(id, "base", bench.freshName(id), true);
        withSnapshot = (await host.bytesAfter([both])) / events;
      });
    }
    const value = samples.median("tidelog");
    return allOf(
      [
        atMost("imported", value, times(1.3, samples.median("segments")), "bytes"),
        atMost("after single appends and compaction", after, times(1.2, value), "bytes"),
      ],
      samples.peers(),
      {
        events,
        singles,
        withSnapshot,
        note: "of the log; withSnapshot counts a snapshot of the rows as well",
      },
    );
  },
};
