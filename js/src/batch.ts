/** Reading a {@link Batch}: columns in, one event object at a time out. */
import type { Batch, ParkedEvent, QueuedEvent } from "./border.js";
import { messageOf, tidelogError } from "./errors.js";
import type { RecordedEvent } from "./types.js";

/** The events of a batch. Its payloads are parsed at once, which is faster than one by one. */
export class BatchReader {
  readonly batch: Batch;
  readonly #payloads: readonly unknown[];
  readonly #keys: readonly string[];

  /** Throws `corrupt_batch` if the payloads are not as many values as the batch has events. */
  constructor(batch: Batch) {
    this.batch = batch;
    const position = batch.firstPosition;
    let payloads: unknown[];
    try {
      payloads = JSON.parse(`[${batch.data}]`);
    } catch (thrown) {
      throw tidelogError("corrupt_batch", { position, problem: messageOf(thrown) }, thrown);
    }
    if (payloads.length !== batch.count) {
      const problem = `it has ${payloads.length} payloads for ${batch.count} events`;
      throw tidelogError("corrupt_batch", { position, problem });
    }
    this.#payloads = payloads;
    this.#keys = batch.streams.map(keyOf);
  }

  /** The i-th event; the caller keeps `0 <= i < count`. */
  event(i: number): RecordedEvent {
    const { batch } = this;
    const commit = at(batch.commit, i);
    const stream = at(batch.stream, i);
    const event: Writable<RecordedEvent> = {
      stream: batch.streams[stream] ?? "",
      key: this.#keys[stream] ?? "",
      type: batch.types[at(batch.type, i)] ?? "",
      version: at(batch.version, i),
      schema: at(batch.schema, i),
      occurredAt: at(batch.occurredAt, i),
      recordedAt: at(batch.recordedAt, commit),
      position: at(batch.position, i),
      commitId: batch.commitIds[commit] ?? "",
      data: this.#payloads[i],
    };
    const actor = batch.actors[commit];
    if (actor !== undefined) event.actor = actor;
    return event;
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** All events of some batches. */
export function batchesToEvents(batches: readonly Batch[]): RecordedEvent[] {
  const events: RecordedEvent[] = [];
  for (const batch of batches) {
    const reader = new BatchReader(batch);
    for (let i = 0; i < batch.count; i++) events.push(reader.event(i));
  }
  return events;
}

/** An event of a parked commit, or one that it collided with. */
export function parkedEventToEvent(event: ParkedEvent): RecordedEvent {
  const { data, ...info } = event;
  return { ...info, key: keyOf(event.stream), data: JSON.parse(data) };
}

/** An event of a queued commit. */
export function queuedEventToEvent(
  event: QueuedEvent,
  commit: { readonly id: string; readonly occurredAt: number },
): RecordedEvent {
  const { stream, type, schema, version, data } = event;
  return {
    stream,
    key: keyOf(stream),
    type,
    version,
    schema,
    occurredAt: commit.occurredAt,
    commitId: commit.id,
    data: JSON.parse(data),
  };
}

/** `kind` of `kind/key`; the whole if it has no key. */
export function kindOf(stream: string): string {
  const slash = stream.indexOf("/");
  return slash < 0 ? stream : stream.slice(0, slash);
}

/** `key` of `kind/key`. */
export function keyOf(stream: string): string {
  return stream.slice(stream.indexOf("/") + 1);
}

function at(column: Uint32Array | Float64Array, i: number): number {
  return column[i] ?? 0;
}
