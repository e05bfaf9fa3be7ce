import { Samples } from "../bench.ts";
import { allOf, atMost, type Figure, times } from "./figure.ts";

export const history: Figure = {
  id: "history",
  name: "one stream's history out of 262,200 events",
  unit: "ms",
  better: "lower",
  rule: "≤ 3 × one raw get (of a segment of 1,000 events)",
  async measure(bench) {
    const samples = new Samples();
    const gets = { segment: new Samples(), record: new Samples() };
    const { streams, lengths } = await bench.reference("large");
    const some = bench.options.quick ? 50 : 200;
    const readers = bench.subjects.filter(({ id }) => id !== "segments" && id !== "records");
    await bench.inTurn("history", readers, async ({ id: subject }) => {
      const answer = await bench.host.run({
        kind: "history",
        subject,
        database: await bench.filled(subject, "large"),
        streams: streams.slice(0, some),
        lengths: lengths.slice(0, some),
        segments: await bench.filled("segments", "large"),
        records: await bench.filled("records", "large"),
      });
      samples.add(subject, ...answer.ms);
      gets.segment.add(subject, ...answer.segmentGet);
      gets.record.add(subject, ...answer.recordGet);
    });
    const segment = gets.segment.median("tidelog");
    const record = gets.record.median("tidelog");
    const value = samples.median("tidelog");
    const peers = {
      ...(segment === undefined ? {} : { "raw get of a segment": segment }),
      ...(record === undefined ? {} : { "raw get of a record": record }),
      ...samples.peers(),
    };
    return allOf([atMost("history", value, times(3, segment), "ms")], peers, {
      events: bench.eventsOf("large"),
      streams: some,
      againstRecord: value === undefined || record === undefined ? undefined : value / record,
    });
  },
};
