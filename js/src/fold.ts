/** Folding one event into the state of its stream, guarded against the app's own throws. */
import { ownText } from "./batch.js";
import type { EventDefinition, StepFunction, StreamDefinition } from "./define.js";
import { messageOf, type TidelogError, tidelogError } from "./errors.js";
import type { NamedEvent, RecordedEvent, UnfoldedStream } from "./types.js";

/** A stream's fold so far. */
export class Folded {
  state: unknown;
  version = 0;
  createdAt = 0;
  updatedAt = 0;
  lastType = "";
  /** The first event that the code does not know. */
  unfolded: UnfoldedStream | undefined = undefined;
  /** Changed since its rows were last shown; since it was last saved. Only of confirmed folds. */
  changed = false;
  unsaved = false;

  constructor(state: unknown) {
    this.state = state;
  }

  /** A fold that goes on from here by itself. */
  copy(): Folded {
    const copy = new Folded(this.state);
    copy.version = this.version;
    copy.createdAt = this.createdAt;
    copy.updatedAt = this.updatedAt;
    copy.lastType = this.lastType;
    copy.unfolded = this.unfolded;
    return copy;
  }
}

/** What a definition does with events of one type. */
export interface Step {
  readonly type: string;
  /** The type is one of Tidelog's own: no fold is about it. */
  readonly reserved: boolean;
  readonly known: EventDefinition | undefined;
  /** `undefined`: the code does not know the type. */
  readonly run: StepFunction | undefined;
  /** Of a fold that is one function: how it is told the type. */
  readonly name: string | undefined;
}

/** Takes what a fold threw; the fold goes on with its last good state. */
export type Report = (error: TidelogError) => void;

/** The fold of one kind: total, whatever the app's code does. */
export class Folder {
  readonly definition: StreamDefinition;
  readonly #report: Report;
  readonly #steps = new Map<string, Step>();

  constructor(definition: StreamDefinition, report: Report) {
    this.definition = definition;
    this.#report = report;
  }

  /** The fold of no events. */
  unborn(): Folded {
    return new Folded(this.definition.initial);
  }

  /** What is done with events of a type. */
  step(type: string): Step {
    const step = this.#steps.get(type);
    if (step) return step;
    const { events, open, prefix, stepOf } = this.definition;
    const known = events.get(type);
    const own = known?.type ?? ownText(type);
    const name = known?.name ?? (own.startsWith(prefix) ? own.slice(prefix.length) : own);
    const run = known || open ? stepOf(name) : undefined;
    const reserved = isReserved(own);
    const made = { type: own, reserved, known, run, name: open ? name : undefined };
    this.#steps.set(own, made);
    return made;
  }

  /** False if the code does not know events of this type and schema. */
  knows(step: Step, schema: number): boolean {
    return step.run !== undefined && (step.known === undefined || schema <= step.known.version);
  }

  /**
   * Folds `event`. One that is unknown or throws leaves the state as it was, counts as a version, and is
   * noted in `unfolded` or reported (false). Of one that was erased only the payload is unknown, and that is
   * nobody's mistake; one of Tidelog's own is no more than a version.
   */
  fold(into: Folded, step: Step, event: RecordedEvent | NamedEvent): boolean {
    if (into.version === 0) into.createdAt = event.occurredAt;
    into.version = event.version;
    if (step.reserved) return true;
    into.updatedAt = event.occurredAt;
    into.lastType = step.type;
    if (event.erased) return true;
    const { known, run } = step;
    if (run === undefined || (known !== undefined && event.schema > known.version)) {
      into.unfolded ??= { stream: event.stream, type: event.type, schema: event.schema };
      return true;
    }
    try {
      const data = known && known.version > event.schema ? upcast(known, event) : event.data;
      const state = run(into.state, data, event);
      if (state === undefined && this.definition.initial !== undefined)
        throw new Error("it returned nothing");
      into.state = state;
      return true;
    } catch (thrown) {
      this.#report(foldFailed(this.definition.kind, event, thrown));
      return false;
    }
  }
}

/** What the types of events begin with that only a server makes: they say what was erased, and that a stream is closed. */
const RESERVED = "tidelog.";

/** Is an event of this type one that only a server makes? */
export function isReserved(type: string): boolean {
  return type.startsWith(RESERVED);
}

/** The payload in its newest schema, as far as the definition goes. Throws what an upcaster throws. */
export function upcast(
  known: EventDefinition | undefined,
  event: RecordedEvent | NamedEvent,
): unknown {
  let { data } = event;
  if (known === undefined) return data;
  for (let from = event.schema; from < known.version; from++) data = known.upcast[from]?.(data);
  return data;
}

/** The error of a fold called `fold` that threw on `event`. */
export function foldFailed(
  fold: string,
  event: RecordedEvent | NamedEvent,
  thrown: unknown,
): TidelogError {
  const { type, stream, version } = event;
  return tidelogError(
    "fold_failed",
    { fold, type, stream, version, problem: messageOf(thrown) },
    thrown,
  );
}
