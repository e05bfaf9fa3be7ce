/**
 * Building folds beside the running ones: they read the log in slices and join in the very step in which
 * they stand where the running folds stand, so nobody ever sees a half state.
 */
import { BatchReader } from "./batch.js";
import type { LogCore } from "./border.js";
import type { ConfirmedFold } from "./confirmed.js";
import { tidelogError } from "./errors.js";
import type { Mirror } from "./mirror.js";
import { deadline, nextTask } from "./slices.js";

/** About so many bytes of the log are read at once. */
export const PAGE_BYTES = 256 * 1024;
/** Events folded between two looks at the clock. */
const STRIDE = 256;

/** Whose folds, and how it is doing. */
export interface Beside {
  readonly mirror: Mirror;
  readonly folds: readonly ConfirmedFold[];
  /** Throws if the log is closed. */
  readonly core: () => LogCore;
  /** Resolves when the mirror has taken in all that wasm has said. */
  readonly heard: () => Promise<void>;
  /** Waits for what wasm promised while the log is open. */
  readonly asked: <T>(promise: Promise<T>) => Promise<T>;
  /** Runs the app's folds. */
  readonly pure: (run: () => void) => void;
  readonly signal?: AbortSignal | undefined;
  /** Called after each slice, with the last position folded. */
  readonly onProgress: (position: number) => void;
}

/**
 * Resolves when all folds stand where the mirror stands, in that same step: the caller must attach them
 * before it awaits anything. Rejects with the signal's reason, or with what reading the log fails with.
 */
export async function catchUp(beside: Beside): Promise<void> {
  const { mirror, folds, core, asked, heard, signal } = beside;
  let { resets } = mirror;
  for (;;) {
    signal?.throwIfAborted();
    if (mirror.resets !== resets) {
      // The log began anew, and so do these; unless they follow it already.
      ({ resets } = mirror);
      const attached = new Set(mirror.attached());
      for (const fold of folds) if (!attached.has(fold)) fold.reset();
    }
    const from = Math.min(...folds.map((fold) => fold.position)) + 1;
    const to = mirror.position;
    if (from <= to) {
      const page = await asked(core().readLog(from, to, false, PAGE_BYTES));
      try {
        for (const batch of mirror.resets === resets ? page.batches : []) {
          const done = await foldBatch(beside, new BatchReader(batch), to, resets);
          if (!done) break;
        }
        if (mirror.resets === resets && Math.min(...folds.map((fold) => fold.position)) < from) {
          throw tidelogError("corrupt_batch", { position: from, problem: "nothing is there" });
        }
      } catch (thrown) {
        // Wasm reads the log as it is now, which may have begun anew without anybody here having heard of it.
        await heard();
        if (mirror.resets === resets) throw thrown;
      }
    } else if (mirror.midBatch) {
      core();
      await nextTask();
    } else {
      return;
    }
  }
}

/** False if the log began anew meanwhile. */
async function foldBatch(
  { mirror, folds, core, pure, signal, onProgress }: Beside,
  reader: BatchReader,
  to: number,
  resets: number,
): Promise<boolean> {
  const { firstPosition } = reader.batch;
  const last = reader.until(to);
  for (const { position } of folds) {
    if (position + 1 < firstPosition) {
      const problem = `it begins at position ${firstPosition}`;
      throw tidelogError("corrupt_batch", { position: position + 1, problem });
    }
  }
  let expired = deadline();
  let told = 0;
  const tell = (position: number) => {
    if (position !== told) onProgress(position);
    told = position;
  };
  let next = reader.until(Math.min(...folds.map((fold) => fold.position)));
  while (next < last) {
    const end = Math.min(last, next + STRIDE);
    for (const fold of folds) {
      const from = Math.max(next, reader.until(fold.position));
      if (from >= end) continue;
      pure(() => fold.take(reader, from, end));
      fold.position = reader.position(end - 1);
    }
    next = end;
    if (!expired()) continue;
    tell(reader.position(end - 1));
    await nextTask();
    core();
    signal?.throwIfAborted();
    if (mirror.resets !== resets) return false;
    expired = deadline();
  }
  for (const fold of folds) {
    fold.release();
    // What is left out behind the last event is done with, too.
    fold.position = Math.max(fold.position, Math.min(to, reader.last));
  }
  tell(Math.min(...folds.map((fold) => fold.position)));
  return true;
}
