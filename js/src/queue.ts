/**
 * The mirror of the commits that are not confirmed yet, in order: the overlay that is folded on top of
 * the confirmed state. Wasm owns the queue; this copy exists so that folding needs no border crossing.
 */
import { draftToEvent } from "./batch.js";
import type { Draft, LogCore, QueuedCommit } from "./border.js";
import type { RecordedEvent } from "./types.js";

const NONE: readonly RecordedEvent[] = [];

/** Number that wasm gives the first attempt of a commit. */
const FIRST_ATTEMPT = 1;

interface Entry {
  readonly attempt: number;
  readonly events: readonly RecordedEvent[];
  /** Place in the queue: grows from one to the next. */
  place: number;
}

export class QueueMirror {
  #entries = new Map<string, Entry>();
  /** Pending events by stream, in order. */
  readonly #byStream = new Map<string, RecordedEvent[]>();
  #place = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Ids in order. */
  ids(): readonly string[] {
    return [...this.#entries.keys()];
  }

  eventsOf(stream: string): readonly RecordedEvent[] {
    return this.#byStream.get(stream) ?? NONE;
  }

  /** Events of one commit; `undefined` if it is not in the queue. */
  commit(id: string): readonly RecordedEvent[] | undefined {
    return this.#entries.get(id)?.events;
  }

  /** All pending events in order. */
  *events(): Iterable<RecordedEvent> {
    for (const entry of this.#entries.values()) yield* entry.events;
  }

  /** Pending events of `stream` from commits before `id`; all of them if `id` is not in the queue. */
  eventsBefore(id: string, stream: string): readonly RecordedEvent[] {
    const end = this.#entries.get(id)?.place ?? Number.POSITIVE_INFINITY;
    return this.eventsOf(stream).filter(
      ({ commitId }) => (this.#entries.get(commitId)?.place ?? end) < end,
    );
  }

  /** Adds a commit that was just appended; gives its events. */
  push(draft: Draft, versions: readonly number[]): readonly RecordedEvent[] {
    const events = draft.events.map((event, i) => draftToEvent(event, versions[i] ?? 0, draft));
    this.#entries.set(draft.id, { attempt: FIRST_ATTEMPT, events, place: ++this.#place });
    for (const event of events) this.#add(event);
    return events;
  }

  /** Drops commits that were confirmed; gives the streams they touched. Costs what these hold. */
  settle(ids: readonly string[]): ReadonlySet<string> {
    const touched = new Set<string>();
    for (const id of ids) {
      for (const { stream } of this.#entries.get(id)?.events ?? NONE) touched.add(stream);
      this.#entries.delete(id);
    }
    for (const stream of touched) {
      const left = this.eventsOf(stream).filter(({ commitId }) => this.#entries.has(commitId));
      if (left.length > 0) this.#byStream.set(stream, left);
      else this.#byStream.delete(stream);
    }
    return touched;
  }

  /** Takes over wasm's queue; gives the streams whose pending events changed. */
  refresh(core: LogCore): ReadonlySet<string> {
    const old = this.#entries;
    const touched = new Set<string>();
    const touch = (entry: Entry | undefined) => {
      for (const { stream } of entry?.events ?? NONE) touched.add(stream);
    };
    const next = new Map<string, Entry>();
    let [place, moved] = [-1, false];
    for (const { id, attempt } of core.queue()) {
      const known = old.get(id);
      if (known?.attempt === attempt) {
        moved ||= known.place < place;
        place = known.place;
        next.set(id, known);
        continue;
      }
      const commit = core.commit(id);
      // It left the queue between the two calls: another notice tells.
      if (commit === undefined) continue;
      const entry = this.#toEntry(commit);
      // A new attempt may stand anywhere in the queue.
      moved ||= known !== undefined || place > entry.place;
      touch(known);
      touch(entry);
      next.set(id, entry);
      place = entry.place;
    }
    if (next.size !== old.size || touched.size > 0) {
      for (const [id, entry] of old) if (!next.has(id)) touch(entry);
    }
    if (moved) {
      for (const entry of next.values()) {
        entry.place = ++this.#place;
        touch(entry);
      }
    }
    this.#entries = next;
    this.#index(touched);
    return touched;
  }

  #toEntry(commit: QueuedCommit): Entry {
    return {
      attempt: commit.attempt,
      events: commit.events.map((event) => draftToEvent(event, event.version, commit)),
      place: ++this.#place,
    };
  }

  #add(event: RecordedEvent): void {
    const list = this.#byStream.get(event.stream);
    if (list) list.push(event);
    else this.#byStream.set(event.stream, [event]);
  }

  #index(streams: ReadonlySet<string>): void {
    if (streams.size === 0) return;
    for (const stream of streams) this.#byStream.delete(stream);
    for (const event of this.events()) if (streams.has(event.stream)) this.#add(event);
  }
}
