/**
 * The mirror of the commits that are not confirmed yet, in order: the overlay that is folded on top of
 * the confirmed state. Wasm owns the queue; this copy exists so that folding needs no border crossing.
 */
import { draftToEvent } from "./batch.js";
import type { Draft, DraftEvent, LogCore, QueuedCommit } from "./border.js";
import type { RecordedEvent } from "./types.js";

const NONE: readonly RecordedEvent[] = [];

/** Number that wasm gives the first attempt of a commit. */
const FIRST_ATTEMPT = 1;

interface Entry {
  readonly id: string;
  readonly attempt: number;
  readonly events: readonly RecordedEvent[];
  /** Place in the queue: grows from one to the next. */
  place: number;
}

/** What this tab decided a commit's attempt to be. */
interface Decision {
  readonly attempt: number;
  readonly events: readonly DraftEvent[];
  readonly occurredAt: number;
}

export class QueueMirror {
  /** In order. */
  #queue: Entry[] = [];
  readonly #entries = new Map<string, Entry>();
  /** Pending events by stream, in order. */
  readonly #byStream = new Map<string, RecordedEvent[]>();
  /** Since the last refresh, by commit: wasm took them as they are, so they need not come back. */
  readonly #decisions = new Map<string, Decision>();
  #place = 0;

  get size(): number {
    return this.#queue.length;
  }

  /** Ids in order. */
  ids(): readonly string[] {
    return this.#queue.map(({ id }) => id);
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
    for (const entry of this.#queue) yield* entry.events;
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
    const entry = { id: draft.id, attempt: FIRST_ATTEMPT, events, place: ++this.#place };
    this.#queue.push(entry);
    this.#entries.set(entry.id, entry);
    for (const event of events) this.#add(event);
    return events;
  }

  /** Notes what a commit's attempt was decided to be. */
  decided(id: string, decision: Decision): void {
    this.#decisions.set(id, decision);
  }

  /** Drops commits that were confirmed; gives the streams they touched. */
  settle(ids: readonly string[]): ReadonlySet<string> {
    const touched = new Set<string>();
    if (ids.length === 0) return touched;
    for (const id of ids) {
      for (const { stream } of this.#entries.get(id)?.events ?? NONE) touched.add(stream);
      this.#entries.delete(id);
    }
    this.#queue = this.#queue.filter(({ id }) => this.#entries.has(id));
    for (const stream of touched) {
      const left = this.eventsOf(stream).filter(({ commitId }) => this.#entries.has(commitId));
      if (left.length > 0) this.#byStream.set(stream, left);
      else this.#byStream.delete(stream);
    }
    return touched;
  }

  /**
   * Takes over what changed in wasm's queue; gives the streams whose pending events changed. Costs what stands
   * in the queue from the first change on.
   */
  refresh(core: LogCore): ReadonlySet<string> {
    const { from, entries } = core.queueChanges(this.#queue.length);
    const old = this.#queue.splice(from);
    const gone = new Map<string, Entry>();
    for (const entry of old) {
      gone.set(entry.id, entry);
      this.#entries.delete(entry.id);
    }
    const touched = new Set<string>();
    const touch = (entry: Entry | undefined) => {
      for (const { stream } of entry?.events ?? NONE) touched.add(stream);
    };
    const tail: Entry[] = [];
    let [place, moved] = [-1, false];
    for (const { id, attempt } of entries) {
      const known = gone.get(id);
      let entry = known;
      if (entry?.attempt !== attempt) {
        entry = this.#decidedEntry(core, id, attempt) ?? this.#wholeEntry(core, id);
        // It left the queue between the two calls: another notice tells.
        if (entry === undefined) continue;
        // A new attempt may stand anywhere in the queue.
        moved ||= known !== undefined;
        touch(known);
        touch(entry);
      }
      gone.delete(id);
      moved ||= entry.place < place;
      place = entry.place;
      tail.push(entry);
    }
    for (const entry of gone.values()) touch(entry);
    for (const entry of tail) {
      if (moved) {
        entry.place = ++this.#place;
        touch(entry);
      }
      this.#queue.push(entry);
      this.#entries.set(entry.id, entry);
    }
    this.#index(touched, tail);
    this.#decisions.clear();
    return touched;
  }

  #decidedEntry(core: LogCore, id: string, attempt: number): Entry | undefined {
    const decision = this.#decisions.get(id);
    if (decision?.attempt !== attempt) return undefined;
    const versions = core.queuedVersions(id);
    if (versions === undefined) return undefined;
    const { events, occurredAt } = decision;
    return {
      id,
      attempt,
      events: events.map((event, i) => draftToEvent(event, versions[i] ?? 0, { id, occurredAt })),
      place: ++this.#place,
    };
  }

  #wholeEntry(core: LogCore, id: string): Entry | undefined {
    const commit: QueuedCommit | undefined = core.commit(id);
    if (commit === undefined) return undefined;
    return {
      id: commit.id,
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

  /** Lists the events of these streams anew, of which all that changed is in `tail`, the end of the queue. */
  #index(streams: ReadonlySet<string>, tail: readonly Entry[]): void {
    if (streams.size === 0) return;
    const ids = new Set(tail.map(({ id }) => id));
    for (const stream of streams) {
      const before = this.eventsOf(stream).filter(
        ({ commitId }) => this.#entries.has(commitId) && !ids.has(commitId),
      );
      if (before.length > 0) this.#byStream.set(stream, before);
      else this.#byStream.delete(stream);
    }
    for (const { events } of tail) {
      for (const event of events) if (streams.has(event.stream)) this.#add(event);
    }
  }
}
