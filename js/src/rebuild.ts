/** Folding something from the log anew, beside the running fold. */
import { aborted } from "./abort.js";
import type { KindFold } from "./confirmed.js";
import type { Projection, StreamDefinition } from "./define.js";
import type { Engine } from "./engine.js";
import { tidelogError } from "./errors.js";
import type { ProgressOptions } from "./log-types.js";
import type { ProjectionFold } from "./projections.js";

/** See `LogMembers.rebuild`. */
export async function rebuild(
  engine: Engine,
  what: StreamDefinition | Projection<unknown>,
  { signal, onProgress }: ProgressOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  await engine.opened();
  const old = runningFold(engine, what);
  await engine.builder.build(old.fresh(), { old, signal, onProgress });
}

function runningFold(
  { mirror }: Engine,
  what: StreamDefinition | Projection<unknown>,
): KindFold | ProjectionFold {
  if ("kind" in what) {
    const rows = mirror.rows(what.kind);
    if (rows === undefined) throw tidelogError("unknown_stream_kind", { kind: what.kind });
    return rows.confirmed;
  }
  return (mirror.fold(what) ?? mirror.addFold(what)).confirmed;
}

/** See `LogMembers.verify`. */
export async function verify(
  engine: Engine,
  { signal, onProgress }: ProgressOptions = {},
): Promise<{ readonly events: number }> {
  signal?.throwIfAborted();
  let position = 0;
  for (;;) {
    const core = await engine.opened();
    signal?.throwIfAborted();
    const slice = await aborted(engine.asked(core.verify(position + 1, SLICE_BYTES)), signal);
    if (!slice.done && slice.position <= position) {
      throw tidelogError("corrupt_batch", { position: position + 1, problem: "nothing is there" });
    }
    position = Math.max(position, slice.position);
    onProgress?.({ done: position, total: Math.max(position, engine.mirror.position) });
    if (slice.done) return { events: position };
  }
}

/** Hashing these takes a few milliseconds. */
const SLICE_BYTES = 256 * 1024;
