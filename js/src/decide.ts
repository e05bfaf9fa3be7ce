/** Running a command, and turning what it decided into events for wasm. */
import type { DraftEvent } from "./border.js";
import type { Decision, Emitted, EventDefinition, StreamDefinition } from "./define.js";
import { messageOf, type TidelogError, tidelogError } from "./errors.js";
import { derivedId } from "./ids.js";
import type { SchemaIssue, StandardSchemaV1 } from "./schema.js";

/** What a command is run on. */
export interface Question {
  readonly definition: StreamDefinition;
  readonly stream: string;
  readonly key: string;
  readonly command: string;
  readonly args: unknown;
  readonly commitId: string;
  readonly now: number;
  readonly state: unknown;
  readonly version: number;
}

/** What came of it. */
export type Answer =
  | { readonly events: readonly DraftEvent[] }
  | { readonly refused: { readonly code: string; readonly message: string } };

/** Runs a command. Throws `command_failed` if it does, `async_command`, `invalid_payload`, `unknown_event_type`. */
export function decide(question: Question): Answer {
  const { definition, stream, command, commitId, key, now, version } = question;
  let ids = 0;
  const context = { now, version, key, id: () => derivedId(commitId, ids++) };
  let decision: Decision;
  try {
    const run = definition.commands[command] as (
      state: unknown,
      args: unknown,
      context: unknown,
    ) => Decision;
    decision = run(question.state, question.args, context);
  } catch (thrown) {
    throw tidelogError("command_failed", { command, stream, problem: messageOf(thrown) }, thrown);
  }
  if (decision instanceof Promise) throw tidelogError("async_command", { command, stream });
  if (isRefusal(decision)) return decision;
  const emitted: readonly Emitted[] = Array.isArray(decision) ? decision : [decision];
  return { events: emitted.map((event) => emittedToDraft(definition, stream, event)) };
}

/** An event that a command or an inverse returned. Throws `unknown_event_type`, `invalid_payload`. */
export function emittedToDraft(
  definition: StreamDefinition,
  stream: string,
  emitted: Emitted | undefined,
): DraftEvent {
  const type = definition.prefix + emitted?.event;
  const known = definition.events.get(type);
  if (emitted === undefined || known === undefined) {
    throw tidelogError("unknown_event_type", { type, stream });
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
