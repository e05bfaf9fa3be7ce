/** Lines whose events are in the log already: they are left out only if they say the same. */
import { BatchReader } from "./batch.js";
import type { LogCore } from "./border.js";
import type { Engine } from "./engine.js";
import { lineError } from "./errors.js";
import type { Known } from "./import-batch.js";
import type { RecordedEvent } from "./types.js";

/** Throws `invalid_import` for the first line that contradicts the log. */
export async function checkKnown(
  engine: Engine,
  core: LogCore,
  known: readonly Known[],
): Promise<void> {
  const byStream = new Map<string, Known[]>();
  for (const line of known) {
    const lines = byStream.get(line.stream);
    if (lines) lines.push(line);
    else byStream.set(line.stream, [line]);
  }
  for (const [stream, lines] of byStream) {
    const versions = lines.map(({ version }) => version);
    const [low, high] = [Math.min(...versions), Math.max(...versions)];
    const events = await eventsOf(engine, core, stream, low, high);
    for (const line of lines) {
      if (says(line, events.get(line.version))) continue;
      const problem = `version ${line.version} of stream ${stream} is another event in the log`;
      throw lineError(line.line, problem);
    }
  }
}

async function eventsOf(
  engine: Engine,
  core: LogCore,
  stream: string,
  low: number,
  high: number,
): Promise<ReadonlyMap<number, RecordedEvent>> {
  const events = new Map<number, RecordedEvent>();
  for (let next = low; next <= high; ) {
    const page = await engine.asked(core.readStream(stream, next, high, false, high - next + 1));
    const before = next;
    for (const batch of page.batches) {
      const reader = new BatchReader(batch);
      for (let i = 0; i < batch.count; i++) {
        const event = reader.event(i);
        events.set(event.version, event);
        next = Math.max(next, event.version + 1);
      }
    }
    if (next === before) break;
  }
  // What is pending stands behind.
  for (const event of engine.mirror.queue.eventsOf(stream)) events.set(event.version, event);
  return events;
}

function says(line: Known, event: RecordedEvent | undefined): boolean {
  return (
    event !== undefined &&
    event.type === line.type &&
    event.schema === line.schema &&
    event.occurredAt === line.time &&
    // Of what one of them no longer has there is nothing to compare; a line behind it says that it was erased.
    (event.erased === true ||
      line.erased !== undefined ||
      JSON.stringify(event.data) === JSON.stringify(JSON.parse(line.data)))
  );
}
