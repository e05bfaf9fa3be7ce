/**
 * The mirror of the commits that are not confirmed yet, in order: the overlay that is folded on top of
 * the confirmed state. Wasm owns the queue; this copy exists so that folding needs no border crossing.
 */
import { queuedEventToEvent } from "./batch.js";
import type { LogCore, QueuedCommit } from "./border.js";
import type { RecordedEvent } from "./types.js";

const NONE: readonly RecordedEvent[] = [];

interface Entry {
  readonly attempt: number;
  readonly events: readonly RecordedEvent[];
}

export class QueueMirror {
  #entries = new Map<string, Entry>();
  /** Pending events by stream, in order. */
  readonly #byStream = new Map<string, RecordedEvent[]>();

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
    const before: RecordedEvent[] = [];
    for (const [entryId, entry] of this.#entries) {
      if (entryId === id) break;
      for (const event of entry.events) if (event.stream === stream) before.push(event);
    }
    return before;
  }

  /** Adds a commit that was just appended. */
  push(commit: QueuedCommit): void {
    const entry = toEntry(commit);
    this.#entries.set(commit.id, entry);
    for (const event of entry.events) {
      const list = this.#byStream.get(event.stream);
      if (list) list.push(event);
      else this.#byStream.set(event.stream, [event]);
    }
  }

  /** Drops commits that were confirmed; gives the streams they touched. */
  settle(ids: readonly string[]): ReadonlySet<string> {
    const touched = new Set<string>();
    for (const id of ids) {
      for (const { stream } of this.#entries.get(id)?.events ?? NONE) touched.add(stream);
      this.#entries.delete(id);
    }
    this.#index(touched);
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
    for (const { id, attempt } of core.queue()) {
      const known = old.get(id);
      if (known?.attempt === attempt) {
        next.set(id, known);
        continue;
      }
      const commit = core.commit(id);
      // It left the queue between the two calls: another notice tells.
      if (commit === undefined) continue;
      const entry = toEntry(commit);
      touch(known);
      touch(entry);
      next.set(id, entry);
    }
    for (const [id, entry] of old) if (!next.has(id)) touch(entry);
    if (!sameOrder(old, next)) for (const entry of next.values()) touch(entry);
    this.#entries = next;
    this.#index(touched);
    return touched;
  }

  clear(): ReadonlySet<string> {
    return this.settle(this.ids());
  }

  #index(streams: ReadonlySet<string>): void {
    if (streams.size === 0) return;
    for (const stream of streams) this.#byStream.delete(stream);
    for (const event of this.events()) {
      if (!streams.has(event.stream)) continue;
      const list = this.#byStream.get(event.stream);
      if (list) list.push(event);
      else this.#byStream.set(event.stream, [event]);
    }
  }
}

function toEntry(commit: QueuedCommit): Entry {
  return {
    attempt: commit.attempt,
    events: commit.events.map((event) => queuedEventToEvent(event, commit)),
  };
}

/** True if the ids that both hold come in the same order. */
function sameOrder(a: ReadonlyMap<string, Entry>, b: ReadonlyMap<string, Entry>): boolean {
  const ofB = [...b.keys()].filter((id) => a.has(id));
  const ofA = [...a.keys()].filter((id) => b.has(id));
  return ofA.every((id, i) => id === ofB[i]);
}
