/** Values folded from the whole log: the confirmed fold, and the pending events on top of it. */
import type { Projection, StreamDefinition } from "./define.js";
import { foldFailed, type Report, upcast } from "./fold.js";
import { Cell } from "./live.js";
import type { RecordedEvent } from "./types.js";

export class Fold {
  readonly projection: Projection<unknown>;
  readonly live: Cell<unknown>;
  readonly #definitionOf: (stream: string) => StreamDefinition | undefined;
  readonly #report: Report;
  #confirmed: unknown;

  constructor(
    projection: Projection<unknown>,
    definitionOf: (stream: string) => StreamDefinition | undefined,
    report: Report,
    onUse: () => void,
  ) {
    this.projection = projection;
    this.#definitionOf = definitionOf;
    this.#report = report;
    this.#confirmed = projection.initial;
    this.live = new Cell(projection.initial, onUse);
  }

  confirm(event: RecordedEvent): void {
    this.#confirmed = this.#step(this.#confirmed, event);
  }

  reset(): void {
    this.#confirmed = this.projection.initial;
  }

  /** Folds what is pending anew. */
  refresh(pending: Iterable<RecordedEvent>): void {
    let state = this.#confirmed;
    for (const event of pending) state = this.#step(state, event);
    this.live.set(state);
  }

  /** Total: what throws leaves the state as it was and is reported. */
  #step(state: unknown, event: RecordedEvent): unknown {
    const { projection } = this;
    try {
      const known = this.#definitionOf(event.stream)?.events.get(event.type);
      const current = known && known.version > event.schema;
      const next = projection.evolve(
        state,
        current ? { ...event, data: upcast(known, event) } : event,
      );
      if (next === undefined && projection.initial !== undefined)
        throw new Error("it returned nothing");
      return next;
    } catch (thrown) {
      this.#report(foldFailed(projection.name, event, thrown));
      return state;
    }
  }
}
