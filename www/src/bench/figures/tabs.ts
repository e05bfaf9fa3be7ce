import { Samples } from "../bench.ts";
import { EXTRA } from "../loan.ts";
import { allOf, atMost, type Figure, times } from "./figure.ts";

export const tabs: Figure = {
  id: "tabs",
  name: "tab B shows an event appended in tab A, p50",
  unit: "ms",
  better: "lower",
  rule: "≤ 2 × a bare BroadcastChannel round trip plus one raw read",
  async measure(bench) {
    const samples = new Samples();
    const afterDurable = new Samples();
    const bare = new Samples();
    const rawRead = new Samples();
    const count = bench.options.quick ? 30 : 100;
    await bench.inTurn("two tabs", bench.subjects, async ({ id: subject }, round) => {
      const database = await bench.filled(subject, "base");
      const records = await bench.filled("records", "base");
      const key = `${EXTRA}tabs-${round}`;
      const channel = `${database}-tabs-${round}`;
      const [, answer] = await bench.host.pair(
        { kind: "watch", subject, database, key, channel },
        { kind: "write", subject, database, key, channel, count, records },
      );
      samples.add(subject, ...answer.ms);
      afterDurable.add(subject, ...answer.afterDurable);
      bare.add(subject, ...answer.bare);
      rawRead.add(subject, ...answer.rawRead);
    });
    const [trip, read] = [bare.median("tidelog"), rawRead.median("tidelog")];
    const reference = trip === undefined || read === undefined ? undefined : trip + read;
    const peers = {
      ...(reference === undefined ? {} : { "bare round trip + raw read": reference }),
      ...samples.peers(),
    };
    return allOf(
      [atMost("shown in tab B", samples.median("tidelog"), times(2, reference), "ms")],
      peers,
      {
        fromDurable: afterDurable.median("tidelog"),
        bareRoundTrip: trip,
        rawRead: read,
        note: "from the append call in tab A; fromDurable leaves out its durable write",
      },
    );
  },
};
