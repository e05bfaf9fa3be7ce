/** Reading the confirmed log again: for folds that came late and for views of the past. */
import { BatchReader } from "./batch.js";
import type { LogCore } from "./border.js";
import type { Projection, StreamDefinition } from "./define.js";
import type { Engine } from "./engine.js";
import { coreErrorToTidelogError, fromCore, tidelogError } from "./errors.js";
import { nextTask } from "./live.js";
import type { LogMembers, PastView, Streams } from "./log-types.js";
import { Fold } from "./projections.js";
import { runQuery } from "./query.js";
import { QueueMirror } from "./queue.js";
import { Rows } from "./rows.js";
import type { Live, RecordedEvent, RowQuery } from "./types.js";

/** Events read at once, and milliseconds of work between two chances for the page. */
const PAGE = 4096;
const SLICE = 8;

type Point = Parameters<LogMembers["at"]>[0];

/** Confirmed commits after `position`, in order. Throws `corrupt_batch` where the log has a hole. */
export async function* commitsAfter(
  core: LogCore,
  position: number,
): AsyncGenerator<readonly RecordedEvent[]> {
  let next = position + 1;
  let end = performance.now() + SLICE;
  for (;;) {
    const batch = await fromCore(core.logFrom(next, PAGE));
    if (batch === undefined) return;
    const reader = new BatchReader(batch);
    let commit: RecordedEvent[] = [];
    const before = next;
    for (let i = 0; i < batch.count; i++) {
      const event = reader.event(i);
      if (event.position !== next) {
        const problem = `it begins at position ${event.position}`;
        throw tidelogError("corrupt_batch", { position: next, problem });
      }
      if (commit.length > 0 && commit[0]?.commitId !== event.commitId) {
        yield commit;
        commit = [];
        if (performance.now() >= end) {
          await nextTask();
          end = performance.now() + SLICE;
        }
      }
      commit.push(event);
      next++;
    }
    if (commit.length > 0) yield commit;
    if (next === before) return;
  }
}

/** The live value of a projection; one that comes after the replay catches up in the background. */
export function liveFold<Result>(
  engine: Engine,
  late: Map<Projection<unknown>, Fold>,
  projection: Projection<Result>,
): Live<Result> {
  const key = projection as unknown as Projection<unknown>;
  const known = engine.mirror.fold(key) ?? late.get(key);
  if (known) return known.live as Live<unknown> as Live<Result>;
  const fold = new Fold(key, engine.mirror.definitionOf, engine.mirror.report, engine.use);
  if (engine.mirror.position === 0 && !engine.mirror.midBatch) {
    engine.mirror.addFold(fold);
  } else {
    late.set(key, fold);
    // If the log cannot be read now, `status` says so, and whoever asks for the fold again starts anew.
    catchUp(engine, fold)
      .catch((thrown: unknown) => engine.mirror.report(coreErrorToTidelogError(thrown)))
      .finally(() => {
        late.delete(key);
        engine.show();
      });
  }
  return fold.live as Live<unknown> as Live<Result>;
}

/** Folds what the mirror has folded already, then joins it. */
async function catchUp(engine: Engine, fold: Fold): Promise<void> {
  let core = await engine.opened();
  let { resets } = engine.mirror;
  let position = 0;
  for (;;) {
    for await (const commit of commitsAfter(core, position)) {
      for (const event of commit) engine.pure(fold.projection.name, () => fold.confirm(event));
      position += commit.length;
    }
    core = engine.current();
    if (engine.mirror.resets !== resets) {
      ({ resets } = engine.mirror);
      fold.reset();
      position = 0;
    } else if (engine.mirror.position === position) {
      engine.mirror.addFold(fold);
      return;
    }
    await nextTask();
  }
}

/** The confirmed state of every kind as of a point. Commits count whole. */
export async function viewAt(engine: Engine, streams: Streams, point: Point): Promise<PastView> {
  const core = await engine.opened();
  const kinds = new Map(
    Object.values(streams).map(
      (definition) =>
        [definition.kind, new Rows(definition, engine.mirror.report, () => undefined)] as const,
    ),
  );
  let position = 0;
  for await (const commit of commitsAfter(core, 0)) {
    const last = commit.at(-1);
    if (last === undefined || isAfter(last, point)) break;
    for (const event of commit) {
      const rows = kinds.get(event.stream.slice(0, event.stream.indexOf("/")));
      if (rows) engine.pure(rows.definition.kind, () => rows.confirm(event));
    }
    position += commit.length;
  }
  const nothingPending = new QueueMirror();
  for (const rows of kinds.values()) rows.refresh(nothingPending);
  const rowsOf = (kind: string): Rows => {
    const rows = kinds.get(kind);
    if (rows === undefined) throw tidelogError("unknown_stream_kind", { kind });
    return rows;
  };
  return {
    position,
    row: ({ kind }: StreamDefinition, key: string) => rowsOf(kind).shown(key),
    rows: ({ kind }: StreamDefinition, query?: RowQuery<unknown>) =>
      runQuery(rowsOf(kind).values(), query),
  } as PastView;
}

function isAfter(event: RecordedEvent, point: Point): boolean {
  return "position" in point
    ? (event.position ?? 0) > point.position
    : (event.recordedAt ?? 0) > point.time.getTime();
}
