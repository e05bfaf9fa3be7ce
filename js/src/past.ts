/** Views of past states: the log folded again, up to a point. */
import { BatchReader } from "./batch.js";
import { PAGE_BYTES } from "./beside.js";
import { kindFoldOf } from "./confirmed.js";
import type { StreamDefinition } from "./define.js";
import type { Engine } from "./engine.js";
import { tidelogError } from "./errors.js";
import type { PastView, ReadPoint, Streams } from "./log-types.js";
import { runQuery } from "./query.js";
import { QueueMirror } from "./queue.js";
import { lastOf } from "./reading.js";
import { Rows } from "./rows.js";
import { deadline, nextTask } from "./slices.js";
import type { RowQuery } from "./types.js";

/** Events folded between two looks at the clock. */
const STRIDE = 256;

/** The confirmed state of every kind as of a point. Commits count whole. */
export async function viewAt(
  engine: Engine,
  streams: Streams,
  point: ReadPoint,
): Promise<PastView> {
  const core = await engine.opened();
  const end = Math.min(engine.mirror.position, await lastOf(engine, core, point));
  const kinds = new Map(
    Object.values(streams).map(
      (definition) =>
        [
          definition.kind,
          new Rows(kindFoldOf(definition, engine.mirror.report), () => undefined),
        ] as const,
    ),
  );
  let position = 0;
  for (let whole = true; whole && position < end; ) {
    const page = await engine.asked(
      (await engine.opened()).readLog(position + 1, end, false, PAGE_BYTES),
    );
    if (page.batches.length === 0) {
      throw tidelogError("corrupt_batch", { position: position + 1, problem: "nothing is there" });
    }
    for (const batch of page.batches) {
      const reader = new BatchReader(batch);
      const asked = reader.until(end);
      const to = commitsWithin(reader, asked);
      await foldSlices(engine, kinds, reader, reader.until(position), to);
      whole = to === asked;
      // Without its last events, a commit does not count.
      if (whole) position = Math.min(end, reader.last);
      else if (to > 0) position = Math.max(position, reader.position(to - 1));
      else break;
    }
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
    rows: ({ kind }: StreamDefinition, query?: RowQuery<unknown>) => runQuery(rowsOf(kind), query),
  } as PastView;
}

/** How many of the first `count` events are of commits that end within them. */
function commitsWithin(reader: BatchReader, count: number): number {
  const { commitEnd } = reader.batch;
  if (count <= 0 || count >= reader.batch.count) return Math.max(0, count);
  const commit = reader.commitOf(count - 1);
  return commitEnd[commit] === count ? count : (commitEnd[commit - 1] ?? 0);
}

async function foldSlices(
  engine: Engine,
  kinds: ReadonlyMap<string, Rows>,
  reader: BatchReader,
  from: number,
  to: number,
): Promise<void> {
  let expired = deadline();
  for (let next = from; next < to; ) {
    const end = Math.min(to, next + STRIDE);
    for (const [kind, { confirmed }] of kinds) {
      engine.pure(kind, () => confirmed.take(reader, next, end));
    }
    next = end;
    if (next >= to || !expired()) continue;
    await nextTask();
    expired = deadline();
  }
  for (const { confirmed } of kinds.values()) confirmed.release();
}
