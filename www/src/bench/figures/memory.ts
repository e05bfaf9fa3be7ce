import { Samples } from "../bench.ts";
import { allOf, atMost, type Figure, times } from "./figure.ts";

const MEGABYTE = 1_000_000;

export const memory: Figure = {
  id: "memory",
  name: "JS heap + wasm memory after opening 262,200 events with the loan projection",
  unit: "MB",
  better: "lower",
  rule: "≤ 1.5 × the hand-written page's; ahead of every peer",
  async measure(bench) {
    const samples = new Samples();
    const wasm = new Samples();
    const { digest: expected } = await bench.reference("large");
    let collected = true;
    await bench.inTurn("memory", bench.subjects, async ({ id }) => {
      const answer = await bench.host.run({
        kind: "open",
        subject: id,
        database: await bench.filled(id, "large"),
        expected,
        snapshots: false,
        weigh: true,
      });
      if (answer.heap === undefined || !Number.isFinite(answer.heap.jsBytes)) {
        throw new Error("this browser does not tell how large a page's heap is");
      }
      collected &&= answer.heap.collected;
      samples.add(id, (answer.heap.jsBytes + answer.wasmBytes) / MEGABYTE);
      wasm.add(id, answer.wasmBytes / MEGABYTE);
    });
    const value = samples.median("tidelog");
    return allOf(
      [
        atMost("1.5 × the hand-written page", value, times(1.5, samples.median("segments")), "MB"),
        atMost("ahead of every peer", value, samples.best("lower"), "MB"),
      ],
      samples.peers(),
      {
        events: bench.eventsOf("large"),
        wasm: wasm.median("tidelog"),
        collected,
        note: collected
          ? "after a garbage collection, the code of the page included"
          : "without a garbage collection, of the whole page: a rough guess",
      },
    );
  },
};
