/** Folding one event into the state of its stream, guarded against the app's own throws. */
import type { EventDefinition, StreamDefinition } from "./define.js";
import { messageOf, type TidelogError, tidelogError } from "./errors.js";
import type { RecordedEvent, UnfoldedStream } from "./types.js";

/** A stream's fold so far. */
export interface Folded {
  state: unknown;
  version: number;
  createdAt: number;
  updatedAt: number;
  lastType: string;
  /** The first event that the code does not know. */
  unfolded: UnfoldedStream | undefined;
}

/** Takes what a fold threw; the fold goes on with its last good state. */
export type Report = (error: TidelogError) => void;

/** The fold of no events. */
export function unborn(definition: StreamDefinition): Folded {
  return {
    state: definition.initial,
    version: 0,
    createdAt: 0,
    updatedAt: 0,
    lastType: "",
    unfolded: undefined,
  };
}

/**
 * Folds `event` into `into`. Total: an event that is unknown or throws leaves the state as it was, counts
 * as a version, and is noted in `unfolded` or reported.
 */
export function foldInto(
  definition: StreamDefinition,
  into: Folded,
  event: RecordedEvent,
  report: Report,
): void {
  if (into.version === 0) into.createdAt = event.occurredAt;
  into.version = event.version;
  into.updatedAt = event.occurredAt;
  into.lastType = event.type;
  const known = definition.events.get(event.type);
  if (known === undefined ? !definition.open : event.schema > known.version) {
    into.unfolded ??= { stream: event.stream, type: event.type, schema: event.schema };
    return;
  }
  try {
    const name = known?.name ?? nameOf(definition, event.type);
    const state = definition.apply(into.state, name, upcast(known, event), event);
    if (state === undefined && definition.initial !== undefined)
      throw new Error("it returned nothing");
    into.state = state;
  } catch (thrown) {
    report(foldFailed(definition.kind, event, thrown));
  }
}

/** The payload in its newest schema, as far as the definition goes. Throws what an upcaster throws. */
export function upcast(known: EventDefinition | undefined, event: RecordedEvent): unknown {
  let { data } = event;
  if (known === undefined) return data;
  for (let from = event.schema; from < known.version; from++) data = known.upcast[from]?.(data);
  return data;
}

/** The error of a fold called `fold` that threw on `event`. */
export function foldFailed(fold: string, event: RecordedEvent, thrown: unknown): TidelogError {
  const { type, stream, version } = event;
  return tidelogError(
    "fold_failed",
    { fold, type, stream, version, problem: messageOf(thrown) },
    thrown,
  );
}

function nameOf(definition: StreamDefinition, type: string): string {
  return type.startsWith(definition.prefix) ? type.slice(definition.prefix.length) : type;
}
