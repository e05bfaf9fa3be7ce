/** A fresh page for one measurement: it does what it is asked and says what came out. */
import { WrongResult } from "../loan.ts";
import { countWasmMemories } from "./probe.ts";
import type { Failure, Request } from "./requests.ts";
import { run } from "./run.ts";

declare global {
  interface Window {
    /** Runs one request; never rejects. */
    measure?: (request: Request) => Promise<unknown>;
  }
}

countWasmMemories();

window.measure = (request) =>
  run(request).catch((thrown: unknown): Failure => {
    const failed = thrown instanceof Error ? thrown.message : String(thrown);
    return { failed, wrong: thrown instanceof WrongResult };
  });

// In a frame of the benchmark page, the request comes as a message with a port for the answer.
window.addEventListener("message", ({ data, ports, source }) => {
  if (source === window.parent && ports[0]) {
    const [port] = ports;
    void window.measure?.(data as Request).then((answer) => port.postMessage(answer));
  }
});
window.parent.postMessage("ready", location.origin === "null" ? "*" : location.origin);
