/** Where a log stands, put together from wasm's status and the folds'. */
import type { CoreStatus } from "./border.js";
import { coreErrorToTidelogError, type TidelogError } from "./errors.js";
import { Cell } from "./live.js";
import type { Mirror } from "./mirror.js";
import { coreToPart, samePart } from "./part.js";
import type { Live, Rebuilding, Status } from "./types.js";

/** Where the engine is in its life. */
export type Phase = "idle" | "opening" | "ready" | "failed" | "closed";

/** What a status is made of. */
export interface StatusSources {
  readonly phase: Phase;
  readonly core: CoreStatus | undefined;
  readonly mirror: Mirror;
  readonly failure: TidelogError | undefined;
  /** Why a fold could not be built in the background. */
  readonly unbuilt: TidelogError | undefined;
  readonly reset: Status["reset"] | undefined;
  readonly damaged: Status["damaged"] | undefined;
  readonly rebuilding: readonly Rebuilding[];
  /** Events of the log that folds still need before the log is open, besides those of wasm's replay. */
  readonly behind: { readonly done: number; readonly total: number };
}

/**
 * The status as a live value. It is put together when somebody reads it: a burst of commands must not pay
 * for what nobody looks at.
 */
export class LiveStatus implements Live<Status> {
  readonly #cell: Cell<Status>;
  readonly #compute: () => Status;
  #stale = true;

  constructor(compute: () => Status, onUse: () => void) {
    this.#compute = compute;
    this.#cell = new Cell(compute(), onUse);
  }

  readonly subscribe = (listener: (status: Status) => void): (() => void) =>
    this.#cell.subscribe(listener);

  readonly getSnapshot = (): Status => {
    if (this.#stale) {
      this.#stale = false;
      const status = this.#compute();
      if (!sameStatus(status, this.#cell.getSnapshot())) this.#cell.set(status);
    }
    return this.#cell.getSnapshot();
  };

  /** Something about it may have changed. */
  touch(): void {
    this.#stale = true;
  }

  tell(): void {
    if (!this.#cell.watched) return;
    this.getSnapshot();
    this.#cell.tell();
  }
}

/** The status as the app sees it. An error of the engine hides one of the core, and that one of a fold. */
export function statusOf(sources: StatusSources): Status {
  const { phase, core, mirror, failure, unbuilt, reset, damaged, rebuilding, behind } = sources;
  const error =
    failure ??
    (core?.error ? coreErrorToTidelogError(core.error) : undefined) ??
    unbuilt ??
    mirror.foldError;
  const done = mirror.folded + behind.done;
  // How much there is becomes known while it is read.
  const total = Math.max(done, (core?.replayed?.total ?? mirror.folded) + behind.total);
  return {
    phase: phaseShown(phase, core, failure),
    position: mirror.position,
    head: core?.head ?? 0,
    pending: pendingShown(phase, core, mirror),
    parked: core?.parked ?? 0,
    leader: core?.leader ?? false,
    unfolded: mirror.unfolded(),
    rebuilding,
    unsaved: mirror.unsaved(),
    ...(phase === "opening" && core ? { replayed: { done, total } } : {}),
    ...(reset ? { reset } : {}),
    ...(damaged ? { damaged } : {}),
    ...(error ? { error } : {}),
    ...(core?.retryAt === undefined ? {} : { retryAt: core.retryAt }),
    ...partsOf(core),
  };
}

function partsOf(core: CoreStatus | undefined): Pick<Status, "only" | "nextOnly"> {
  const only = coreToPart(core?.only);
  const next = core?.nextOnly === "" ? "everything" : coreToPart(core?.nextOnly);
  return { ...(only ? { only } : {}), ...(next ? { nextOnly: next } : {}) };
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
    a.damaged === b.damaged &&
    a.error?.message === b.error?.message &&
    a.retryAt === b.retryAt &&
    samePart(a.only, b.only) &&
    (a.nextOnly === b.nextOnly ||
      (typeof a.nextOnly === "object" &&
        typeof b.nextOnly === "object" &&
        samePart(a.nextOnly, b.nextOnly))) &&
    same(a.unfolded, b.unfolded, (one, other) => one.stream === other.stream) &&
    same(a.unsaved, b.unsaved, (one, other) => one.problem === other.problem) &&
    same(a.rebuilding, b.rebuilding, (one, other) => one === other)
  );
}

function same<T>(a: readonly T[], b: readonly T[], equal: (a: T, b: T) => boolean): boolean {
  return a.length === b.length && a.every((item, i) => equal(item, b[i] as T));
}

/**
 * Wasm is ahead of what has been folded: it no longer counts commits whose confirmation it has yet to tell. Once the log is
 * open, the folds' own queue is what goes with `position`.
 */
function pendingShown(phase: Phase, core: CoreStatus | undefined, mirror: Mirror): number {
  if (core === undefined) return 0;
  return phase === "ready" ? mirror.queue.size : core.pending;
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
