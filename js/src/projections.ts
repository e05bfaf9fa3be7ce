/** Values folded from the whole log: the confirmed fold, and the pending events on top of it. */
import type { BatchReader } from "./batch.js";
import type { FoldSnapshot } from "./border.js";
import type { ConfirmedFold } from "./confirmed.js";
import type { Projection, StreamDefinition } from "./define.js";
import { foldFailed, isReserved, type Report, upcast } from "./fold.js";
import { Cell } from "./live.js";
import { notPlain } from "./plain.js";
import type { RecordedEvent } from "./types.js";

/** What folding needs besides the projection. */
export interface FoldContext {
  readonly definitionOf: (stream: string) => StreamDefinition | undefined;
  readonly report: Report;
}

/** The fold of the confirmed log. */
export class ProjectionFold implements ConfirmedFold {
  readonly name: string;
  readonly version: number;
  readonly projection: Projection<unknown>;
  readonly context: FoldContext;
  state: unknown;
  position = 0;
  problem: string | undefined;
  readonly never: string | undefined;
  #unsaved = false;
  #wasUnsaved = false;

  /** @param never why no snapshot must be made of it */
  constructor(projection: Projection<unknown>, context: FoldContext, never?: string) {
    this.projection = projection;
    this.context = context;
    this.never = never;
    this.problem = never;
    this.name = `fold/${projection.name}`;
    this.version = projection.version;
    this.state = projection.initial;
  }

  take(reader: BatchReader, from: number, to: number): void {
    this.#unsaved = true;
    for (let i = from; i < to; i++) {
      const event = reader.event(i);
      const next = this.step(this.state, event);
      if (next.threw) this.problem ??= `it threw on ${event.type} at position ${event.position}`;
      this.state = next.state;
    }
  }

  /** One event on top of a state. Total: what throws leaves the state as it was and is reported. */
  step(state: unknown, event: RecordedEvent): { readonly state: unknown; readonly threw: boolean } {
    const { projection, context } = this;
    if (event.erased || isReserved(event.type)) return { state, threw: false };
    try {
      const known = context.definitionOf(event.stream)?.events.get(event.type);
      const old = known !== undefined && known.version > event.schema;
      const next = projection.evolve(state, old ? { ...event, data: upcast(known, event) } : event);
      if (next === undefined && projection.initial !== undefined)
        throw new Error("it returned nothing");
      return { state: next, threw: false };
    } catch (thrown) {
      context.report(foldFailed(projection.name, event, thrown));
      return { state, threw: true };
    }
  }

  release(): void {}

  install(text: string): void {
    const stored = JSON.parse(text) as { readonly state?: unknown };
    if (!Object.hasOwn(stored, "state")) throw new Error("it is not the state of a projection");
    this.state = stored.state;
  }

  fresh(): ProjectionFold {
    return new ProjectionFold(this.projection, this.context, this.never);
  }

  reset(): void {
    this.state = this.projection.initial;
    this.position = 0;
    this.problem = this.never;
    this.#unsaved = false;
  }

  // One value is one bucket, and cannot be walked or written in parts.
  *save(): Generator<undefined, FoldSnapshot | undefined> {
    const { name, version, state } = this;
    yield;
    const problem = notPlain(state);
    if (problem) {
      this.problem = `its state is not plain JSON: ${problem}`;
      return undefined;
    }
    const data = this.#unsaved ? JSON.stringify({ state }) : undefined;
    this.#wasUnsaved = this.#unsaved;
    this.#unsaved = false;
    const changed = data === undefined ? [] : [{ bucket: 0, data }];
    return { name, version, buckets: 1, whole: data !== undefined, changed };
  }

  unsave(whole: boolean): void {
    this.#unsaved = whole || this.#wasUnsaved || this.#unsaved;
  }
}

/** A projection as a live value. */
export class Fold {
  readonly live: Cell<unknown>;
  confirmed: ProjectionFold;
  /** With what is pending; `undefined`: to be folded anew. */
  #shown: { state: unknown } | undefined;

  constructor(confirmed: ProjectionFold, onUse: () => void) {
    this.confirmed = confirmed;
    this.live = new Cell(confirmed.projection.initial, onUse);
  }

  /** Folds an event that was just appended on top of what is shown. */
  push(event: RecordedEvent): void {
    if (this.#shown) this.#shown.state = this.confirmed.step(this.#shown.state, event).state;
  }

  /** Marks the value to be folded anew. */
  restack(): void {
    this.#shown = undefined;
  }

  /** Goes on with another fold of the same projection, which stands at the same position. */
  takeOver(confirmed: ProjectionFold): void {
    this.confirmed = confirmed;
    this.restack();
  }

  /** Shows what has changed. */
  refresh(pending: Iterable<RecordedEvent>): void {
    if (this.#shown === undefined) {
      let { state } = this.confirmed;
      for (const event of pending) state = this.confirmed.step(state, event).state;
      this.#shown = { state };
    }
    this.live.set(this.#shown.state);
  }
}
