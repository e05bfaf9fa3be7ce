import { median } from "../stats.ts";
import { allOf, atMost, type Figure, times } from "./figure.ts";

const PENDING = 1_000;
const INCOMING = 10_000;

export const rebase: Figure = {
  id: "rebase",
  needs: "server",
  name: "1,000 pending commands decided again over 10,000 incoming events",
  unit: "ms",
  better: "lower",
  rule: "≤ 2 × the same 11,000 events pulled and folded with nothing pending",
  async measure(bench) {
    const { rounds, quick } = bench.options;
    const [pending, incoming] = quick ? [PENDING / 10, INCOMING / 10] : [PENDING, INCOMING];
    const rebased: number[] = [];
    const plain: number[] = [];
    const loop: number[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      bench.say(`rebase, round ${round} of ${rounds}`);
      const name = bench.freshName("tidelog");
      const answer = await bench.host.run({ kind: "rebase", name, pending, incoming });
      rebased.push(answer.rebaseMs);
      plain.push(answer.plainMs);
      loop.push(answer.loopMs);
    }
    const reference = median(plain);
    return allOf(
      [atMost("rebased and shown", median(rebased), times(2, reference), "ms")],
      { "the same without anything pending": reference },
      {
        pending,
        incoming,
        bareLoop: median(loop),
        note: "from the moment the server can be reached; every pending command collides with incoming events",
      },
    );
  },
};
