/** Commands and raw appends: from the call to the receipt, in one synchronous step. */
import { kindOf } from "./batch.js";
import {
  type Draft,
  type DraftEvent,
  EXPECT_ANY,
  EXPECT_EXISTS,
  type LogCore,
  POLICIES,
} from "./border.js";
import { decide, isPlain, payloadToJson, type Question, toJson } from "./decide.js";
import { unblocked } from "./deciding.js";
import type { StreamDefinition } from "./define.js";
import type { Find, Shown } from "./elsewhere.js";
import type { Engine } from "./engine.js";
import { coreErrorToTidelogError, tidelogError } from "./errors.js";
import { newId } from "./ids.js";
import type { AppendOptions } from "./log-types.js";
import { conflictToReason, emptyReceipt, refusedReceipt } from "./receipts.js";
import type { Rows } from "./rows.js";
import { checkStreamId, streamOf } from "./stream-id.js";
import type { Expected, RawEvent, Receipt } from "./types.js";

export class Commands {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Runs a command on the shown state and appends what it decides. `seen`: the version that the user saw;
   * with it the commit is parked, not decided again, if others were faster.
   */
  run({ definition, key, stream }: Target, command: string, args: unknown, seen?: number): Receipt {
    const core = this.#engine.current();
    const { mirror } = this.#engine;
    const rows = this.#rowsOf(definition.kind);
    const folded = this.#engine.pure(definition.kind, () => rows.shownFold(key, mirror.queue));
    const { state, version } = unblocked(folded);
    // Of a stream without a row it may be that it is not synced: then nobody knows what to decide on.
    if (version === 0 && !core.keeps(stream)) throw outside(core, stream);
    const id = newId();
    if (seen !== undefined && seen !== version) {
      const fields = { stream, expected: seen, actual: version };
      return refusedReceipt(id, conflictToReason(tidelogError("version_conflict", fields)));
    }
    const now = Date.now();
    const json = argsToJson(args);
    // What a rerun will see, so that a command which depends on more than JSON shows it at once.
    const question = { definition, stream, key, command, commitId: id, now, state, version };
    const answer = this.#decide({ ...question, args: jsonToArgs(json), find: this.#shown });
    if ("refused" in answer) return refusedReceipt(id, answer.refused);
    return this.#append(core, {
      id,
      occurredAt: now,
      conditions: [{ stream, version }, ...answer.reads].map(shownToCondition),
      events: answer.events,
      command: { stream, name: command, args: json },
      policy: seen === undefined ? definition.policyOf(command) : "ask",
    });
  }

  /** Appends events as they are. */
  append(events: readonly RawEvent[], options: AppendOptions = {}): Receipt {
    const core = this.#engine.current();
    const drafts = this.drafts(events, options);
    const conditions = expectedToConditions(drafts, options.expected);
    const exact = conditions.some(({ expected }) => expected !== "any");
    return this.#append(core, {
      id: newId(),
      occurredAt: Date.now(),
      conditions,
      events: drafts,
      policy: options.policy ?? (exact ? "ask" : "rebase"),
    });
  }

  /** Events as wasm takes them. Throws what {@link append} throws for a wrong one. */
  drafts(events: readonly RawEvent[], options: AppendOptions = {}): readonly DraftEvent[] {
    if (events.length === 0) throw tidelogError("empty_commit");
    return events.map((event) => this.#rawToDraft(event, options));
  }

  /** Another stream that a command looks at. */
  readonly #shown: Find = (kind, key) => {
    const rows = this.#rowsOf(kind);
    const stream = streamOf(kind, key);
    const { state, version } = unblocked(rows.shownFold(key, this.#engine.mirror.queue));
    return { definition: rows.definition, stream, state, version };
  };

  #append(core: LogCore, draft: Draft): Receipt {
    const { id } = draft;
    if (draft.events.length === 0) return emptyReceipt(id, this.#engine.mirror.position);
    // Before the append, because wasm may report on the commit from inside it.
    const receipt = this.#engine.receipts.of(id);
    let versions: readonly number[];
    try {
      versions = isFlat(draft) ? [appendFlat(core, draft)] : core.append(draft).versions;
    } catch (thrown) {
      const error = coreErrorToTidelogError(thrown);
      this.#engine.receipts.fail(id, error);
      if (error.code === "version_conflict") return refusedReceipt(id, conflictToReason(error));
      throw error;
    }
    this.#engine.pure("this log", () => this.#engine.mirror.push(draft, versions));
    this.#engine.showOwn();
    return receipt;
  }

  #decide(question: Question): ReturnType<typeof decide> {
    const { definition, command } = question;
    return this.#engine.pure(`${definition.kind}.${command}`, () => decide(question));
  }

  #rawToDraft(event: RawEvent, options: AppendOptions): DraftEvent {
    const { stream, type } = event;
    checkStreamId(stream);
    const known = this.#rowsOf(kindOf(stream)).definition;
    const declared = known.events.get(type);
    if (declared === undefined && !known.open)
      throw tidelogError("unknown_event_type", { type, stream });
    const schema = event.schema ?? declared?.version ?? 1;
    // An older payload was checked by the schema of its time; only today's can be checked.
    const current = declared !== undefined && schema === declared.version;
    const data = current ? payloadToJson(declared, event.data) : toJson(type, event.data);
    const meta = event.meta ?? options.meta;
    return {
      stream,
      type,
      schema,
      data,
      ...(event.tags ? { tags: event.tags } : {}),
      ...(meta ? { meta } : {}),
    };
  }

  #rowsOf(kind: string): Rows {
    const rows = this.#engine.mirror.rows(kind);
    if (rows === undefined) throw tidelogError("unknown_stream_kind", { kind });
    return rows;
  }
}

/** What a commit expects of a stream that it was decided on. */
function shownToCondition({ stream, version }: Pick<Shown, "stream" | "version">) {
  return { stream, expected: version === 0 ? ("noStream" as const) : version };
}

function outside(core: LogCore, stream: string) {
  const { only, nextOnly } = core.status();
  return tidelogError("outside_filter", { stream, only: nextOnly || only });
}

/** The stream that a command is for. */
export interface Target {
  readonly definition: StreamDefinition;
  readonly key: string;
  /** `kind/key`, checked. */
  readonly stream: string;
}

/** A commit of one event without anything special, whose only condition is on its stream. */
function isFlat({ events, conditions, command, policy }: Draft): boolean {
  const event = events[0];
  const condition = conditions[0];
  return (
    events.length === 1 &&
    conditions.length === 1 &&
    event !== undefined &&
    isPlain(event) &&
    condition?.stream === event.stream &&
    // What is none must be refused as what it is.
    !(typeof condition.expected === "number" && condition.expected < 0) &&
    POLICIES.includes(policy) &&
    (command === undefined || command.stream === event.stream)
  );
}

function appendFlat(core: LogCore, { id, occurredAt, policy, ...draft }: Draft): number {
  const { stream, type, schema, data } = draft.events[0] as DraftEvent;
  const { name, args } = draft.command ?? {};
  const number = POLICIES.indexOf(policy);
  const expected = expectedToNumber(draft.conditions[0]?.expected ?? "any");
  return core.appendFlat(id, occurredAt, number, expected, stream, type, schema, data, name, args);
}

function expectedToNumber(expected: Expected): number {
  if (typeof expected === "number") return expected;
  if (expected === "noStream") return 0;
  return expected === "exists" ? EXPECT_EXISTS : EXPECT_ANY;
}

function expectedToConditions(events: readonly DraftEvent[], expected: AppendOptions["expected"]) {
  const [first] = events;
  if (events.length === 1 && first && typeof expected !== "object") {
    return [{ stream: first.stream, expected: expected ?? ("any" as Expected) }];
  }
  const streams = new Set(events.map((event) => event.stream));
  if (typeof expected !== "object") {
    return [...streams].map((stream) => ({ stream, expected: expected ?? "any" }));
  }
  // Streams that are only read may be named too.
  const all = new Set([...streams, ...Object.keys(expected)]);
  return [...all].map((stream) => ({ stream, expected: expected[stream] ?? ("any" as Expected) }));
}

/** Absent arguments are `null` on disk. */
function argsToJson(args: unknown): string {
  return args === undefined ? "null" : toJson("the command's arguments", args);
}

function jsonToArgs(json: string): unknown {
  return JSON.parse(json) ?? undefined;
}
