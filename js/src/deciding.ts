/**
 * Decisions that wasm asks for when others were faster: a command is decided again on the new state, or a
 * commit is merged with what came between.
 */
import { draftToEvent, keyOf, kindOf, parkedEventToEvent } from "./batch.js";
import type { DraftEvent, LogCore, MergeNotice, QuestionNotice, RerunNotice } from "./border.js";
import { decide, emittedToDraft, isPlain } from "./decide.js";
import type { Sides } from "./define.js";
import type { Find } from "./elsewhere.js";
import type { Engine } from "./engine.js";
import { messageOf, TidelogError, tidelogError } from "./errors.js";
import type { Folded } from "./fold.js";
import { readStream } from "./reading.js";
import type { Rows } from "./rows.js";
import { streamOf } from "./stream-id.js";
import type { RecordedEvent } from "./types.js";

/** Nothing else is decided or written meanwhile, so a merge that asks the server for the past does not wait for long. */
const MERGE_MILLIS = 5_000;

/** A stream as decided last, and the event it ends with. */
interface Decided {
  readonly end: string;
  readonly folded: Folded;
}

/** The events of a commit on one stream, and the first version that others took. */
interface Collided {
  readonly id: string;
  readonly stream: string;
  readonly from: number;
  readonly events: readonly RecordedEvent[];
}

export class Deciding {
  readonly #engine: Engine;
  /** A row of commands on one stream folds it once. */
  readonly #decided = new Map<string, Decided>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  answer(core: LogCore, notice: QuestionNotice): void {
    if (notice.kind === "rerun") this.#rerun(core, notice);
    else this.#merge(core, notice).catch(this.#engine.fail);
  }

  /** What was decided on is no more. */
  forget(): void {
    this.#decided.clear();
  }

  /** Decides a pending command again, on what is confirmed and what is pending before it. */
  #rerun(core: LogCore, notice: RerunNotice): void {
    const { id, question, attempt, stream, name, occurredAt, before } = notice;
    const rows = this.#engine.mirror.rows(kindOf(stream));
    if (rows === undefined || !Object.hasOwn(rows.definition.commands, name)) {
      core.decide(id, question, { unknownCommand: true });
      return;
    }
    try {
      const { definition } = rows;
      const folded = unblocked(this.#foldedBefore(core, rows, notice));
      const { state, version } = folded;
      const args = JSON.parse(notice.args) ?? undefined;
      const key = keyOf(stream);
      const now = occurredAt;
      const find = this.#findBefore(core, id);
      const asked = { definition, stream, key, command: name, commitId: id, now, state, version };
      const answer = this.#engine.pure(`${definition.kind}.${name}`, () =>
        decide({ ...asked, args, find }),
      );
      if ("events" in answer) {
        const { events, reads } = answer;
        const [only] = events;
        if (only !== undefined && events.length === 1 && reads.length === 0 && isPlain(only)) {
          const { type, schema, data } = only;
          core.decideFlat(id, question, occurredAt, only.stream, type, schema, data);
        } else {
          const others = reads.map((read) => read.stream);
          core.decide(id, question, { events, reads: others, occurredAt });
        }
        this.#engine.mirror.queue.decided(id, { attempt, events, occurredAt });
        const own = events.filter((event) => event.stream === stream);
        const more = own.map((event) => draftToEvent(event, 0, { id, occurredAt }));
        this.#engine.pure(definition.kind, () => rows.foldOnto(folded, more));
        const last = events.findLastIndex((event) => event.stream === stream);
        const end = last < 0 ? before : `${id}/${attempt}/${last}`;
        if (end !== undefined) this.#decided.set(stream, { end, folded });
      } else {
        core.decide(id, question, answer);
      }
    } catch (thrown) {
      core.decide(id, question, refusalOf(thrown, "command_failed"));
    }
  }

  /** Other streams as they are without a commit and what comes after it. */
  #findBefore(core: LogCore, id: string): Find {
    return (kind, key) => {
      const rows = this.#engine.mirror.rows(kind);
      if (rows === undefined) throw tidelogError("unknown_stream_kind", { kind });
      const stream = streamOf(kind, key);
      const { state, version } = unblocked(this.#theirs(core, rows, id, stream));
      return { definition: rows.definition, stream, state, version };
    };
  }

  #foldedBefore(core: LogCore, rows: Rows, { id, stream, before }: RerunNotice): Folded {
    const known = this.#decided.get(stream);
    this.#decided.delete(stream);
    if (known !== undefined && known.end === before) return known.folded;
    return this.#theirs(core, rows, id, stream);
  }

  /** The fold of a stream without a commit and what comes after it. */
  #theirs(core: LogCore, rows: Rows, id: string, stream: string): Folded {
    const pending = core.queuedBefore(id, stream).map(parkedEventToEvent);
    return this.#engine.pure(rows.definition.kind, () => rows.foldWith(keyOf(stream), pending));
  }

  async #merge(core: LogCore, notice: MergeNotice): Promise<void> {
    const { id, question, occurredAt } = notice;
    const timer = setTimeout(() => core.decide(id, question, { ask: true }), MERGE_MILLIS);
    try {
      const events = await this.#merged(core, notice);
      core.decide(id, question, events ? { events, occurredAt } : { ask: true });
    } catch (thrown) {
      core.decide(id, question, refusalOf(thrown, "merge_failed"));
    } finally {
      clearTimeout(timer);
    }
    this.#engine.show();
  }

  /** The commit's events, those on streams where others were faster merged; `undefined`: a person is to decide. */
  async #merged(core: LogCore, notice: MergeNotice): Promise<readonly DraftEvent[] | undefined> {
    const { id, collisions, occurredAt } = notice;
    let events: readonly DraftEvent[] = notice.events;
    for (const { stream, from } of collisions) {
      const definition = this.#engine.mirror.definitionOf(stream);
      const merge = definition?.merge;
      if (definition === undefined || merge === undefined) return undefined;
      const own = events.filter((event) => event.stream === stream);
      const mine = own.map((event) => draftToEvent(event, 0, { id, occurredAt }));
      const sides = await this.sides(core, { id, stream, from, events: mine });
      const merged = this.#engine.pure(`${definition.kind}.merge`, () => {
        try {
          return merge(sides);
        } catch (thrown) {
          throw tidelogError("merge_failed", { stream, problem: messageOf(thrown) }, thrown);
        }
      });
      if (merged === undefined) return undefined;
      const list = Array.isArray(merged) ? merged : [merged];
      const drafts = list.map((emitted) => emittedToDraft(definition, stream, emitted));
      events = [...events.filter((event) => event.stream !== stream), ...drafts];
    }
    return events;
  }

  /** What both sides made of a stream. Reads its history if the base is not at hand. */
  async sides(core: LogCore, { id, stream, from, events }: Collided): Promise<Sides<unknown>> {
    const rows = this.#engine.mirror.rows(kindOf(stream));
    if (rows === undefined) throw tidelogError("unknown_stream_kind", { kind: kindOf(stream) });
    const key = keyOf(stream);
    const past: RecordedEvent[] = [];
    if (from - 1 < rows.confirmedVersion(key) && from > 1) {
      for await (const event of readStream(this.#engine, stream, { to: from - 1 }))
        past.push(event);
    }
    return this.#engine.pure(rows.definition.kind, () => {
      const pending = core.queuedBefore(id, stream).map(parkedEventToEvent);
      const theirs = unblocked(rows.foldWith(key, pending)).state;
      const confirmed = rows.confirmedVersion(key);
      const base =
        from - 1 < confirmed
          ? rows.foldOnto(rows.unborn(), past)
          : rows.foldWith(key, pending.slice(0, from - 1 - confirmed));
      const { state } = base;
      return { base: state, theirs, mine: rows.foldOnto(base, events).state, events };
    });
  }
}

/** Throws `stream_blocked` if the stream holds what this code cannot fold. */
export function unblocked(folded: Folded): Folded {
  if (folded.unfolded) throw tidelogError("stream_blocked", { ...folded.unfolded });
  return folded;
}

function refusalOf(thrown: unknown, otherwise: string) {
  const code = thrown instanceof TidelogError ? thrown.code : otherwise;
  return { refused: { code, message: messageOf(thrown) } };
}
