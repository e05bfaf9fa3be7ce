/** The log as a stream of bytes, read as fast as they are taken. */
import { aborted } from "./abort.js";
import { BatchReader } from "./batch.js";
import { PAGE_BYTES } from "./beside.js";
import type { LogCore } from "./border.js";
import type { Engine } from "./engine.js";
import { tidelogError } from "./errors.js";
import { framesIn } from "./frames.js";
import type { ExportOptions } from "./log-types.js";
import { lostLines } from "./lost.js";
import { batchToLines, unconfirmedToLine } from "./ndjson.js";

type Chunks = AsyncGenerator<Uint8Array, void, void>;

/** See `LogMembers.export`. */
export function exportLog(engine: Engine, options: ExportOptions = {}): ReadableStream<Uint8Array> {
  const { signal } = options;
  const chunks = chunksOf(engine, options);
  let stop: () => void = () => undefined;
  const end = () => signal?.removeEventListener("abort", stop);
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        stop = () => controller.error(signal?.reason);
        if (signal?.aborted) stop();
        else signal?.addEventListener("abort", stop, { once: true });
      },
      async pull(controller) {
        try {
          const step = await aborted(chunks.next(), signal);
          if (!step.done) {
            controller.enqueue(step.value);
            return;
          }
          end();
          controller.close();
        } catch (thrown) {
          end();
          // The signal has said so already.
          if (!signal?.aborted) controller.error(thrown);
        }
      },
      async cancel() {
        end();
        await chunks.return();
      },
    },
    { highWaterMark: 1 },
  );
}

async function* chunksOf(engine: Engine, options: ExportOptions): Chunks {
  const { format = "ndjson", what = "confirmed" } = options;
  let core: LogCore;
  try {
    core = await engine.opened();
  } catch (failure) {
    if (what === "lost" || what === "unconfirmed") throw failure;
    yield* beforeDamage(await engine.salvaged(failure), format);
    // What there is has been given; a file that ends here must not look whole.
    throw failure;
  }
  if (what === "lost") {
    yield* format === "frames" ? whole(engine, core.lost()) : lostLines(engine);
    return;
  }
  if (what !== "unconfirmed") {
    yield* format === "frames" ? confirmedFrames(engine, options) : confirmedLines(engine, options);
  }
  if (what === "confirmed") return;
  if (format === "frames") yield* whole(engine, (await engine.opened()).unconfirmed());
  else yield* unconfirmedLines(engine, await engine.opened());
}

/** The confirmed events that a damaged log still has before the damage. */
async function* beforeDamage(core: LogCore, format: "ndjson" | "frames"): Chunks {
  try {
    const total = core.status().position;
    for (let next = 1; next <= total; ) {
      if (format === "frames") {
        const bytes = await core.framesFrom(next, PAGE_BYTES);
        const last = bytes && framesIn(bytes).at(-1);
        if (bytes === undefined || last === undefined) return;
        next = last.lastPosition + 1;
        yield bytes;
      } else {
        const { batches } = await core.readLog(next, total, false, PAGE_BYTES);
        if (batches.length === 0) return;
        for (const batch of batches) {
          const reader = new BatchReader(batch);
          const lines = batchToLines(batch, reader.until(next - 1), reader.until(total));
          yield new TextEncoder().encode(lines);
          next = reader.last + 1;
        }
      }
    }
  } finally {
    await core.close();
  }
}

async function* whole(engine: Engine, bytes: Promise<Uint8Array>): Chunks {
  const taken = await engine.asked(bytes);
  if (taken.length > 0) yield taken;
}

async function* confirmedLines(engine: Engine, { onProgress }: ExportOptions): Chunks {
  const encoder = new TextEncoder();
  const total = engine.mirror.position;
  for (let next = 1; next <= total; ) {
    const core = await engine.opened();
    const { batches } = await engine.asked(core.readLog(next, total, false, PAGE_BYTES));
    const before = next;
    for (const batch of batches) {
      if (batch.firstPosition > next) break;
      const reader = new BatchReader(batch);
      const lines = batchToLines(batch, reader.until(next - 1), reader.until(total));
      next = Math.min(total, reader.last) + 1;
      yield encoder.encode(lines);
      onProgress?.({ done: next - 1, total });
    }
    if (next === before) throw holeAt(next);
  }
}

async function* confirmedFrames(engine: Engine, { onProgress }: ExportOptions): Chunks {
  const total = engine.mirror.position;
  for (let next = 1; next <= total; ) {
    const core = await engine.opened();
    const bytes = await engine.asked(core.framesFrom(next, PAGE_BYTES));
    const last = bytes && framesIn(bytes).at(-1);
    const end = last ? last.lastPosition + 1 : 0;
    if (bytes === undefined || end <= next) throw holeAt(next);
    next = end;
    yield bytes;
    onProgress?.({ done: Math.min(next - 1, total), total });
  }
}

async function* unconfirmedLines(engine: Engine, core: LogCore): Chunks {
  const encoder = new TextEncoder();
  for (const { id } of core.queue()) {
    const commit = core.commit(id);
    // It was confirmed meanwhile.
    if (commit === undefined) continue;
    const { occurredAt } = commit;
    const lines = commit.events.map((event) => unconfirmedToLine(event, occurredAt, event.version));
    yield encoder.encode(lines.join(""));
  }
  for (const { mine } of await engine.asked(core.parked())) {
    const lines = mine.map((event) => unconfirmedToLine(event, event.occurredAt, undefined));
    yield encoder.encode(lines.join(""));
  }
}

function holeAt(position: number) {
  return tidelogError("corrupt_batch", { position, problem: "nothing is there" });
}
