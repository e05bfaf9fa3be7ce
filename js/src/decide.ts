/** Running a command, and turning what it decided into events for wasm. */
import { keyOf, kindOf } from "./batch.js";
import type { DraftEvent } from "./border.js";
import type {
  Decision,
  Emitted,
  EmittedElsewhere,
  EventDefinition,
  StreamDefinition,
} from "./define.js";
import { Elsewhere, type Find, type Shown } from "./elsewhere.js";
import { messageOf, type TidelogError, tidelogError } from "./errors.js";
import { derivedId } from "./ids.js";
import type { SchemaIssue, StandardSchemaV1 } from "./schema.js";

/** What a command is run on: its stream, as the command is to see it, and more. */
export interface Question extends Shown {
  readonly key: string;
  readonly command: string;
  readonly args: unknown;
  readonly commitId: string;
  readonly now: number;
  /** Finds other streams. */
  readonly find: Find;
}

/** What came of it: events and the other streams they were decided on, or a no. */
export type Answer =
  | { readonly events: readonly DraftEvent[]; readonly reads: readonly Shown[] }
  | { readonly refused: { readonly code: string; readonly message: string } };

/**
 * Runs a command. Throws `command_failed` if it does, `async_command`, `invalid_payload`, `unknown_event_type`, and
 * what {@link Find} throws for a stream that it looks at.
 */
export function decide(question: Question): Answer {
  const { stream, command, commitId, key, now, version } = question;
  let ids = 0;
  const elsewhere = new Elsewhere(question, question.find);
  const { read } = elsewhere;
  const context = { now, version, key, id: () => derivedId(commitId, ids++), read };
  let decision: Decision;
  try {
    const run = question.definition.commands[command] as (
      state: unknown,
      args: unknown,
      context: unknown,
    ) => Decision;
    decision = run(question.state, question.args, context);
  } catch (thrown) {
    if (elsewhere.failure !== undefined) throw elsewhere.failure;
    throw tidelogError("command_failed", { command, stream, problem: messageOf(thrown) }, thrown);
  }
  if (elsewhere.failure !== undefined) throw elsewhere.failure;
  if (decision instanceof Promise) throw tidelogError("async_command", { command, stream });
  if (isRefusal(decision)) return decision;
  const emitted: readonly (Emitted | EmittedElsewhere)[] = Array.isArray(decision)
    ? decision
    : [decision];
  const events = emitted.map((event) => {
    const on = event?.stream;
    const target = on === undefined ? question : elsewhere.look(kindOf(on), keyOf(on));
    return emittedToDraft(target.definition, target.stream, event);
  });
  // What it writes without a look at it counts as looked at.
  return { events, reads: elsewhere.streams };
}

/** An event that a command, a merge or an inverse returned. Throws `unknown_event_type`, `invalid_payload`. */
export function emittedToDraft(
  definition: StreamDefinition,
  stream: string,
  emitted: Emitted | EmittedElsewhere | undefined,
): DraftEvent {
  const type = definition.prefix + emitted?.event;
  const known = definition.events.get(type);
  // Only commands write other streams than the one they are asked about.
  const on = emitted?.stream ?? stream;
  if (emitted === undefined || known === undefined || on !== stream) {
    throw tidelogError("unknown_event_type", { type, stream: on });
  }
  return { stream, type, schema: known.version, data: payloadToJson(known, emitted.data) };
}

/** A payload as it is stored: what its schema made of it, as JSON. Throws `invalid_payload`. */
export function payloadToJson(event: EventDefinition, data: unknown): string {
  return toJson(event.type, validated(event, data));
}

/** JSON text of a payload. Throws `invalid_payload` for what JSON cannot hold. */
export function toJson(type: string, data: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (thrown) {
    throw invalidPayload(type, [{ message: messageOf(thrown) }]);
  }
  if (json === undefined) throw invalidPayload(type, [{ message: "it is not JSON" }]);
  return json;
}

function validated(event: EventDefinition, data: unknown): unknown {
  const schema: StandardSchemaV1<unknown, unknown> = event.schema;
  const result = schema["~standard"].validate(data);
  if (result instanceof Promise) {
    result.catch(() => undefined);
    throw tidelogError("invalid_definition", {
      subject: `event ${event.type}`,
      problem: "its schema is asynchronous, and appends are not",
    });
  }
  if (result.issues) throw invalidPayload(event.type, result.issues);
  return result.value;
}

function invalidPayload(type: string, issues: readonly SchemaIssue[]): TidelogError {
  const problem = issues.map(issueToText).join("; ");
  return tidelogError("invalid_payload", { type, problem, issues });
}

function issueToText({ path, message }: SchemaIssue): string {
  const keys = path?.map((part) => String(typeof part === "object" ? part.key : part)) ?? [];
  return keys.length > 0 ? `${keys.join(".")}: ${message}` : message;
}

function isRefusal(decision: Decision): decision is Extract<Decision, { refused: unknown }> {
  return typeof decision === "object" && decision !== null && "refused" in decision;
}

/** Has it neither tags nor metadata? The border takes such an event without an object. */
export function isPlain({ tags, meta }: DraftEvent): boolean {
  return tags === undefined && meta === undefined;
}
