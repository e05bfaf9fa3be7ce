import { median, quantile } from "../stats.ts";
import { allOf, atMost, type Figure } from "./figure.ts";

export const live: Figure = {
  id: "live",
  needs: "server",
  name: "event in browser A → shown in browser B, through the server on localhost, p50",
  unit: "ms",
  better: "lower",
  rule: "≤ 30 ms",
  async measure(bench) {
    const name = bench.freshName("tidelog");
    const count = bench.options.quick ? 50 : 300;
    bench.say("two browsers and the server");
    const { ms, echo } = await bench.host.apart(
      { kind: "ping", name, count },
      { kind: "pong", name },
    );
    return allOf(
      [atMost("shown in browser B", median(ms), 30, "ms")],
      { "bare WebSocket echo": median(echo) },
      {
        p95: quantile(ms, 0.95),
        note: "half of a ball's way to the other browser and back, each stroke a durable commit; one page's clock",
      },
    );
  },
};
