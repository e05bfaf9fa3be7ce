/** Taking a commit back. */
import { draftToEvent, keyOf, kindOf } from "./batch.js";
import type { LogCore } from "./border.js";
import type { Commands } from "./commands.js";
import { emittedToDraft } from "./decide.js";
import type { Emitted } from "./define.js";
import type { Engine } from "./engine.js";
import { tidelogError } from "./errors.js";
import { Folder, upcast } from "./fold.js";
import { collect, commitsOf, readStream } from "./reading.js";
import type { RawEvent, Receipt, RecordedEvent } from "./types.js";

/** So many events a commit has at most. */
const EVENTS_IN_COMMIT = 1000;

/** Appends the inverses of a commit's events, last first. Throws `unknown_commit`, `nothing_to_undo`. */
export async function undoCommit(engine: Engine, commands: Commands, id: string): Promise<Receipt> {
  const core = await engine.opened();
  const events = await eventsOfCommit(engine, core, id);
  const inverses: RawEvent[] = [];
  for (const event of [...events].reverse()) {
    const history = await collect(readStream(engine, event.stream));
    inverses.push(...inverseOf(engine, id, event, history));
  }
  return commands.append(inverses, { meta: { causationId: id } });
}

async function eventsOfCommit(
  engine: Engine,
  core: LogCore,
  id: string,
): Promise<readonly RecordedEvent[]> {
  const pending = engine.mirror.queue.commit(id);
  if (pending) return pending;
  const outcome = await engine.asked(core.outcome(id));
  if (outcome.position !== undefined) {
    // The position is that of its last event; the first is at most so many before it.
    const first = Math.max(1, outcome.position - EVENTS_IN_COMMIT + 1);
    for await (const commit of commitsOf(engine, first, outcome.position)) {
      if (commit[0]?.commitId === id) return commit;
    }
  }
  const queued = core.commit(id);
  if (queued) return queued.events.map((event) => draftToEvent(event, event.version, queued));
  throw tidelogError("unknown_commit", { commit: id });
}

function inverseOf(
  engine: Engine,
  commit: string,
  event: RecordedEvent,
  history: readonly RecordedEvent[],
): RawEvent[] {
  const { stream, type } = event;
  if (event.erased) {
    throw tidelogError("nothing_to_undo", { commit, problem: `the payload of ${type} was erased` });
  }
  const definition = engine.mirror.rows(kindOf(stream))?.definition;
  const known = definition?.events.get(type);
  const inverse = known?.inverse;
  if (definition === undefined || known === undefined || inverse === undefined) {
    throw tidelogError("nothing_to_undo", { commit, problem: `${type} declares no inverse` });
  }
  const place = history.findIndex(
    (other) => other.commitId === commit && other.version === event.version,
  );
  const folder = new Folder(definition, engine.mirror.report);
  const folded = folder.unborn();
  engine.pure(definition.kind, () => {
    for (const before of history.slice(0, Math.max(place, 0))) {
      folder.fold(folded, folder.step(before.type), before);
    }
  });
  const emitted = engine.pure(`${definition.kind}.${known.name}`, () =>
    inverse(upcast(known, event), folded.state),
  );
  const list: readonly Emitted[] = Array.isArray(emitted) ? emitted : [emitted as Emitted];
  return list.map((each) => {
    const draft = emittedToDraft(definition, `${definition.kind}/${keyOf(stream)}`, each);
    return { stream, type: draft.type, data: JSON.parse(draft.data) };
  });
}
