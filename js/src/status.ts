/** Where a log stands, put together from wasm's status and the folds'. */
import type { CoreStatus } from "./border.js";
import { coreErrorToTidelogError, type TidelogError } from "./errors.js";
import type { Mirror } from "./mirror.js";
import type { Status } from "./types.js";

/** Where the engine is in its life. */
export type Phase = "idle" | "opening" | "ready" | "failed" | "closed";

/** What a status is made of. */
export interface StatusSources {
  readonly phase: Phase;
  readonly core: CoreStatus | undefined;
  readonly mirror: Mirror;
  readonly failure: TidelogError | undefined;
  readonly reset: { readonly reason: string } | undefined;
}

/** The status as the app sees it. An error of the engine hides one of the core, and that one of a fold. */
export function statusOf({ phase, core, mirror, failure, reset }: StatusSources): Status {
  const error =
    failure ?? (core?.error ? coreErrorToTidelogError(core.error) : undefined) ?? mirror.foldError;
  const done = mirror.folded;
  return {
    phase: phaseShown(phase, core, failure),
    position: mirror.position,
    head: core?.head ?? 0,
    pending: core?.pending ?? 0,
    parked: core?.parked ?? 0,
    leader: core?.leader ?? false,
    unfolded: mirror.unfolded(),
    ...(phase === "opening" && core
      ? // How much there is becomes known while it is read.
        { replayed: { done, total: Math.max(done, core.replayed?.total ?? core.position) } }
      : {}),
    ...(reset ? { reset } : {}),
    ...(error ? { error } : {}),
  };
}

/** True if nobody needs to be told. */
export function sameStatus(a: Status, b: Status): boolean {
  return (
    a.phase === b.phase &&
    a.position === b.position &&
    a.head === b.head &&
    a.pending === b.pending &&
    a.parked === b.parked &&
    a.leader === b.leader &&
    a.replayed?.done === b.replayed?.done &&
    a.replayed?.total === b.replayed?.total &&
    a.reset === b.reset &&
    a.error?.message === b.error?.message &&
    a.unfolded.length === b.unfolded.length &&
    a.unfolded.every((stream, i) => stream.stream === b.unfolded[i]?.stream)
  );
}

function phaseShown(
  phase: Phase,
  core: CoreStatus | undefined,
  failure: TidelogError | undefined,
): Status["phase"] {
  if (phase === "closed") return "closed";
  if (failure) return "error";
  return phase === "ready" && core ? core.phase : "opening";
}
