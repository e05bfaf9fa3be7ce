import { Samples } from "../bench.ts";
import { allOf, atMost, type Figure, times } from "./figure.ts";

export const open: Figure = {
  id: "open",
  name: "cold open + fold of 100,000 events, no snapshot",
  unit: "ms",
  better: "lower",
  rule: "JS fold ≤ 1.2 ×, Rust fold ≤ 0.6 × raw segments + JSON.parse + hand-written fold",
  async measure(bench) {
    const samples = new Samples();
    const rust = new Samples();
    const { digest: expected } = await bench.reference("base");
    await bench.inTurn("open", bench.subjects, async ({ id }) => {
      const database = await bench.filled(id, "base");
      const { ms } = await bench.host.run({
        kind: "open",
        subject: id,
        database,
        expected,
        snapshots: false,
      });
      samples.add(id, ms);
      if (id !== "tidelog") return;
      await bench.attempt("Tidelog, Rust fold", async () => {
        const answer = await bench.host.run({ kind: "rust", database, expected });
        rust.add(id, answer.ms);
      });
    });
    const limit = samples.median("segments");
    return allOf(
      [
        atMost("JS fold", samples.median("tidelog"), times(1.2, limit), "ms"),
        atMost("Rust fold", rust.median("tidelog"), times(0.6, limit), "ms"),
      ],
      samples.peers(),
      {
        events: bench.eventsOf("base"),
        rounds: samples.counts(),
        note: "each in a fresh page; the code of libraries is loaded before, Tidelog's wasm within",
      },
    );
  },
};
