/** Reading a {@link Batch}: columns in, one event object at a time out. */
import type { Batch, DraftEvent, EventExtras, ParkedEvent } from "./border.js";
import { messageOf, tidelogError } from "./errors.js";
import type { NamedEvent, RecordedEvent } from "./types.js";

/** Characters of a commit's id. */
const ID = 36;
/**
 * Payloads parsed by one call: many, because that is faster than one by one, but not all, because what is
 * still in use when the engine collects garbage costs time.
 */
const CHUNK = 1024;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const NO_PAYLOADS: readonly unknown[] = [];

/**
 * The events of a batch. Payloads are parsed some at a time, names and commit ids are cut out when they are
 * first needed.
 */
export class BatchReader {
  readonly batch: Batch;
  /** The dictionary that `batch.stream` and `batch.type` point into. */
  readonly names: readonly string[];
  /** The payloads that were parsed last, and the event that the first is of. */
  #payloads = NO_PAYLOADS;
  #first = 0;
  readonly #keys: (string | undefined)[];
  readonly #extras: ReadonlyMap<number, EventExtras> | undefined;
  readonly #erased: ReadonlySet<number> | undefined;
  /** The commit that was looked at last: events are mostly read in order. */
  #commit = 0;
  #commitId: string | undefined;

  constructor(batch: Batch) {
    this.batch = batch;
    this.names = batch.names.split("\n");
    this.#keys = new Array(this.names.length);
    this.#extras = batch.extras && new Map(batch.extras.map((extras) => [extras.event, extras]));
    this.#erased = batch.erased && new Set(batch.erased);
  }

  /** Position of the i-th event. */
  position(i: number): number {
    const { positions, firstPosition } = this.batch;
    return positions ? at(positions, i) : firstPosition + i;
  }

  /** The last position that the batch covers. */
  get last(): number {
    const { lastPosition, positions, firstPosition, count } = this.batch;
    if (lastPosition !== undefined) return lastPosition;
    return positions ? (positions[count - 1] ?? firstPosition - 1) : firstPosition + count - 1;
  }

  /** How many of its events stand at or before a position. */
  until(position: number): number {
    const { positions, firstPosition, count } = this.batch;
    if (positions === undefined) return Math.max(0, Math.min(count, position + 1 - firstPosition));
    let [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at(positions, middle) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The i-th event; the caller keeps `0 <= i < count`. Throws `corrupt_batch` if its payload is none. */
  event(i: number): RecordedEvent {
    const { batch, names } = this;
    const data = this.#payload(i);
    const commit = this.#seek(i);
    const stream = at(batch.stream, i);
    const actor = at(batch.actor, commit);
    const event: Writable<RecordedEvent> = {
      stream: names[stream] ?? "",
      key: this.#key(stream),
      type: names[at(batch.type, i)] ?? "",
      version: at(batch.version, i),
      schema: at(batch.schema, i),
      occurredAt: at(batch.occurredAt, i),
      recordedAt: at(batch.recordedAt, commit),
      position: this.position(i),
      commitId: this.#idOf(commit),
      data,
    };
    if (actor > 0) event.actor = names[actor - 1] ?? "";
    return this.#finished(i, event);
  }

  /**
   * As {@link event}, for a fold that tells events apart by `name`: made so at once instead of copied, and of
   * a stream whose `key` is at hand.
   */
  named(i: number, name: string, key: string): NamedEvent {
    const { batch, names } = this;
    const data = this.#payload(i);
    const commit = this.#seek(i);
    const stream = at(batch.stream, i);
    const actor = at(batch.actor, commit);
    const event: NamedEvent = {
      name,
      data,
      stream: names[stream] ?? "",
      key,
      type: names[at(batch.type, i)] ?? "",
      version: at(batch.version, i),
      schema: at(batch.schema, i),
      occurredAt: at(batch.occurredAt, i),
      commitId: this.#idOf(commit),
      recordedAt: at(batch.recordedAt, commit),
      position: this.position(i),
      actor: actor > 0 ? (names[actor - 1] ?? "") : undefined,
    };
    return this.#finished(i, event);
  }

  /** Was the payload of the i-th event erased? */
  isErased(i: number): boolean {
    return this.#erased?.has(i) ?? false;
  }

  /** What few events have, or have no more. */
  #finished<Event extends { data?: unknown; readonly erased?: true }>(
    i: number,
    event: Event,
  ): Event {
    const extras = this.#extras?.get(i);
    const whole = extras ? withExtras(event, extras) : event;
    if (!this.isErased(i)) return whole;
    const { data: _gone, ...rest } = whole;
    return { ...rest, erased: true } as unknown as Event;
  }

  /** Number of the commit that holds event `i`. */
  commitOf(i: number): number {
    return this.#seek(i);
  }

  #payload(i: number): unknown {
    const at = i - this.#first;
    return at >= 0 && at < this.#payloads.length ? this.#payloads[at] : this.#parse(i);
  }

  /** Parses the payloads around that of event `i`. */
  #parse(i: number): unknown {
    const { count, firstPosition: position } = this.batch;
    const first = i - (i % CHUNK);
    const next = Math.min(count, first + CHUNK);
    let parsed: unknown[];
    try {
      parsed = JSON.parse(`[${payloadText(this.batch, first, next)}]`);
    } catch (thrown) {
      throw tidelogError("corrupt_batch", { position, problem: messageOf(thrown) }, thrown);
    }
    if (parsed.length !== next - first) {
      const problem = `it has ${parsed.length} payloads for ${next - first} events`;
      throw tidelogError("corrupt_batch", { position, problem });
    }
    this.#payloads = parsed;
    this.#first = first;
    return parsed[i - first];
  }

  #key(stream: number): string {
    const known = this.#keys[stream];
    if (known !== undefined) return known;
    const key = keyOf(this.names[stream] ?? "");
    this.#keys[stream] = key;
    return key;
  }

  /** The id of the commit that was looked at last. */
  #idOf(commit: number): string {
    this.#commitId ??= this.batch.commitIds.slice(commit * ID, commit * ID + ID);
    return this.#commitId;
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

/** The payloads of events `from` to `to` (not included) as they were written, joined by commas. */
export function payloadText(
  { count, payloads, payloadAt }: Batch,
  from: number,
  to: number,
): string {
  // Behind a payload that is not the last one comes a comma.
  const end = to < count ? at(payloadAt, to) - 1 : payloads.length;
  return utf8.decode(payloads.subarray(at(payloadAt, from), end));
}

/** An event of a parked commit, or one that it collided with. */
export function parkedEventToEvent(event: ParkedEvent): RecordedEvent {
  const { data, ...info } = event;
  const key = keyOf(event.stream);
  if (data === undefined) return { ...info, key, erased: true };
  return { ...info, key, data: JSON.parse(data) };
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

function withExtras<Event extends object>(
  event: Event,
  { tags, meta }: Omit<EventExtras, "event">,
) {
  return { ...event, ...(tags ? { tags } : {}), ...(meta ? { meta } : {}) };
}

function at(column: Uint32Array | Float64Array, i: number): number {
  return column[i] ?? 0;
}
