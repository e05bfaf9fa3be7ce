/**
 * Folds that have to be built from the log: those of kinds that no snapshot was there for, which opening waits for, projections
 * that come late, and what somebody wants folded anew. They are built beside the running ones and join them when they have
 * caught up.
 */
import { type Beside, catchUp } from "./beside.js";
import type { ConfirmedFold } from "./confirmed.js";
import { coreErrorToTidelogError, type TidelogError } from "./errors.js";
import type { Rebuilding } from "./types.js";

/** What building needs of the open log. */
export interface Site extends Pick<Beside, "mirror" | "core" | "heard" | "asked"> {
  readonly isClosed: () => boolean;
  /** Runs the app's folds; `subject` is what they belong to. */
  readonly pure: (subject: string, run: () => void) => void;
  /** Takes in what wasm has to say, and tells everybody. */
  readonly show: () => void;
  /** Tells everybody what changed. */
  readonly tell: () => void;
  readonly tellStatus: () => void;
}

export interface BuildOptions {
  /** Whose place it takes; its own unless given. */
  readonly old?: ConfirmedFold;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Omit<Rebuilding, "name">) => void) | undefined;
}

const NOTHING = { done: 0, total: 0 };

export class Builder {
  readonly #site: Site;
  /** Why folds could not be built in the background. */
  readonly #unbuilt = new Map<ConfirmedFold, TidelogError>();
  readonly #rebuilding = new Map<ConfirmedFold, Rebuilding>();
  readonly #renewing = new Set<ConfirmedFold>();
  #behind = NOTHING;

  constructor(site: Site) {
    this.#site = site;
  }

  /** Folds that are being built beside the running ones. */
  get rebuilding(): readonly Rebuilding[] {
    return [...this.#rebuilding.values()];
  }

  /** Why one could not be built in the background. */
  get failure(): TidelogError | undefined {
    return [...this.#unbuilt.values()][0];
  }

  /** Events that the kinds still need for which opening waits. */
  get behind(): { readonly done: number; readonly total: number } {
    return this.#behind;
  }

  /**
   * Builds `fold` from the log and has it take the place of `old` when it has caught up.
   * Shows in `status.rebuilding`. Rejects with the signal's reason and with what reading the log fails with.
   */
  async build(
    fold: ConfirmedFold,
    { old = fold, signal, onProgress }: BuildOptions = {},
  ): Promise<void> {
    const { mirror, pure, tellStatus, show } = this.#site;
    const start = fold.position;
    const progress = (position: number) => {
      const done = Math.max(0, position - start);
      const total = Math.max(done, mirror.position - start);
      this.#rebuilding.set(fold, { name: fold.name, done, total });
      onProgress?.({ done, total });
      tellStatus();
    };
    progress(start);
    try {
      await catchUp({
        ...this.#site,
        folds: [fold],
        pure: (run) => pure(fold.name, run),
        signal,
        onProgress: progress,
      });
      mirror.attach(fold, old);
    } finally {
      this.#rebuilding.delete(fold);
      show();
    }
  }

  /** Builds what is behind in the background. */
  buildLater(): void {
    const { mirror, isClosed, tell } = this.#site;
    for (const fold of mirror.behind()) {
      if (this.#rebuilding.has(fold)) continue;
      this.#unbuilt.delete(fold);
      // What cannot be read now is read when the server can be reached, or when somebody asks again.
      this.build(fold).catch((thrown: unknown) => {
        if (isClosed()) return;
        this.#unbuilt.set(fold, coreErrorToTidelogError(thrown));
        tell();
      });
    }
  }

  /** Folds again, in the background, what may hold payloads that were erased; what is shown stays until then. */
  renewLater(): void {
    const { mirror, isClosed, tell } = this.#site;
    for (const old of mirror.outdated()) {
      // One that is under way has begun anew by itself.
      if (this.#renewing.has(old)) continue;
      this.#renewing.add(old);
      this.#unbuilt.delete(old);
      this.build(old.fresh(), { old })
        .catch((thrown: unknown) => {
          if (isClosed()) return;
          this.#unbuilt.set(old, coreErrorToTidelogError(thrown));
          tell();
        })
        .finally(() => this.#renewing.delete(old));
    }
  }

  /** Commands need the rows of every kind, so opening waits for those that no snapshot was there for. */
  async buildKinds(): Promise<void> {
    const { mirror, pure, tellStatus } = this.#site;
    // Not when it is done: until the log is open, the status tells how far this has come.
    this.#behind = NOTHING;
    const kinds = new Set<ConfirmedFold>([...mirror.kinds()].map((rows) => rows.confirmed));
    const folds = mirror.behind().filter((fold) => kinds.has(fold));
    if (folds.length === 0) return;
    const start = Math.min(...folds.map((fold) => fold.position));
    const onProgress = (position: number) => {
      this.#behind = { done: position - start, total: mirror.position - start };
      tellStatus();
    };
    onProgress(start);
    await catchUp({ ...this.#site, folds, pure: (run) => pure("this log", run), onProgress });
    for (const fold of folds) mirror.attach(fold);
  }
}
