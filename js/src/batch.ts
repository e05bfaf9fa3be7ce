/** Reading a {@link Batch}: columns in, one event object at a time out. */
import type { Batch, DraftEvent, EventExtras, ParkedEvent } from "./border.js";
import { messageOf, tidelogError } from "./errors.js";
import type { RecordedEvent } from "./types.js";

/** Characters of a commit's id. */
const ID = 36;

/**
 * The events of a batch. Its payloads are parsed at once, which is faster than one by one; names and
 * commit ids are cut out when they are first needed.
 */
export class BatchReader {
  readonly batch: Batch;
  /** The dictionary that `batch.stream` and `batch.type` point into. */
  readonly names: readonly string[];
  readonly #payloads: readonly unknown[];
  readonly #keys: (string | undefined)[];
  readonly #extras: ReadonlyMap<number, EventExtras> | undefined;
  /** The commit that was looked at last: events are mostly read in order. */
  #commit = 0;
  #commitId: string | undefined;

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
    this.names = batch.names.split("\n");
    this.#keys = new Array(this.names.length);
    this.#extras = batch.extras && new Map(batch.extras.map((extras) => [extras.event, extras]));
  }

  /** Position of the i-th event. */
  position(i: number): number {
    const { positions, firstPosition } = this.batch;
    return positions ? at(positions, i) : firstPosition + i;
  }

  /** The i-th event; the caller keeps `0 <= i < count`. */
  event(i: number): RecordedEvent {
    const { batch, names } = this;
    const commit = this.#seek(i);
    const stream = at(batch.stream, i);
    const name = names[stream] ?? "";
    this.#commitId ??= batch.commitIds.slice(commit * ID, commit * ID + ID);
    const actor = at(batch.actor, commit);
    const key = this.#keys[stream] ?? keyOf(name);
    this.#keys[stream] = key;
    const event: Writable<RecordedEvent> = {
      stream: name,
      key,
      type: names[at(batch.type, i)] ?? "",
      version: at(batch.version, i),
      schema: at(batch.schema, i),
      occurredAt: at(batch.occurredAt, i),
      recordedAt: at(batch.recordedAt, commit),
      position: this.position(i),
      commitId: this.#commitId,
      data: this.#payloads[i],
    };
    if (actor > 0) event.actor = names[actor - 1] ?? "";
    const extras = this.#extras?.get(i);
    return extras ? withExtras(event, extras) : event;
  }

  /** Number of the commit that holds event `i`. */
  commitOf(i: number): number {
    return this.#seek(i);
  }

  #seek(i: number): number {
    const { commitEnd } = this.batch;
    let commit = this.#commit;
    while (commit > 0 && i < at(commitEnd, commit - 1)) commit--;
    while (commit + 1 < commitEnd.length && i >= at(commitEnd, commit)) commit++;
    if (commit !== this.#commit) {
      this.#commit = commit;
      this.#commitId = undefined;
    }
    return commit;
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** An event of a parked commit, or one that it collided with. */
export function parkedEventToEvent(event: ParkedEvent): RecordedEvent {
  const { data, ...info } = event;
  return { ...info, key: keyOf(event.stream), data: JSON.parse(data) };
}

/** An event of a commit that is not confirmed. */
export function draftToEvent(
  event: DraftEvent,
  version: number,
  commit: { readonly id: string; readonly occurredAt: number },
): RecordedEvent {
  const { stream, type, schema } = event;
  const pending = {
    stream,
    key: keyOf(stream),
    type,
    version,
    schema,
    occurredAt: commit.occurredAt,
    commitId: commit.id,
    data: JSON.parse(event.data),
  };
  return event.tags || event.meta ? withExtras(pending, event) : pending;
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

/**
 * The same text without what it was cut out of: engines keep the whole text alive as long as any part of
 * it, and what a fold keeps for ever must not keep every batch.
 */
export function ownText(text: string): string {
  return ` ${text}`.slice(1);
}

function withExtras(event: RecordedEvent, { tags, meta }: Omit<EventExtras, "event">) {
  return { ...event, ...(tags ? { tags } : {}), ...(meta ? { meta } : {}) };
}

function at(column: Uint32Array | Float64Array, i: number): number {
  return column[i] ?? 0;
}
