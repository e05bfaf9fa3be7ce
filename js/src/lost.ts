/**
 * What an earlier history of the log held and the server has lost: others' events, as a rule, since this device sends its own
 * again. Frames of that history are kept whole, so what has come back since, or still waits to be sent, is left out here.
 */
import { BatchReader } from "./batch.js";
import { PAGE_BYTES } from "./beside.js";
import type { Batch } from "./border.js";
import type { Engine } from "./engine.js";
import { tidelogError } from "./errors.js";
import { batchToLines } from "./ndjson.js";
import type { RecordedEvent } from "./types.js";

/** Characters of a commit's id. */
const ID = 36;

/** A commit that exists nowhere else: the events `from..to` (not included) of a batch. */
interface LostCommit {
  readonly batch: Batch;
  readonly from: number;
  readonly to: number;
}

/** See `LogMembers.lost`. */
export async function lostEvents(engine: Engine): Promise<readonly RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  let reader: BatchReader | undefined;
  for (const { batch, from, to } of await lostCommits(engine)) {
    if (reader?.batch !== batch) reader = new BatchReader(batch);
    for (let i = from; i < to; i++) events.push(reader.event(i));
  }
  return events;
}

/** The same as lines of JSON. */
export async function* lostLines(engine: Engine): AsyncGenerator<Uint8Array, void, void> {
  const encoder = new TextEncoder();
  for (const { batch, from, to } of await lostCommits(engine)) {
    yield encoder.encode(batchToLines(batch, from, to));
  }
}

async function lostCommits(engine: Engine): Promise<Iterable<LostCommit>> {
  const core = await engine.opened();
  const { batches } = await engine.asked(core.lostBatches());
  // A history that was lost after another one may hold the same commit.
  const lost = new Map<string, LostCommit>();
  for (const batch of batches) {
    let from = 0;
    batch.commitEnd.forEach((to, commit) => {
      lost.set(idOf(batch, commit), { batch, from, to });
      from = to;
    });
  }
  for (const { id } of core.queue()) lost.delete(id);
  for (const { id } of await engine.asked(core.parked())) lost.delete(id);
  const total = engine.mirror.position;
  for (let next = 1; lost.size > 0 && next <= total; ) {
    const page = await engine.asked(
      (await engine.opened()).readLog(next, total, false, PAGE_BYTES),
    );
    const before = next;
    for (const batch of page.batches) {
      for (let commit = 0; commit < batch.commitEnd.length; commit++) {
        lost.delete(idOf(batch, commit));
      }
      next = Math.max(next, new BatchReader(batch).last + 1);
    }
    if (next === before) {
      throw tidelogError("corrupt_batch", { position: next, problem: "nothing is there" });
    }
  }
  return lost.values();
}

function idOf(batch: Batch, commit: number): string {
  return batch.commitIds.slice(commit * ID, commit * ID + ID);
}
