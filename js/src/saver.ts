/**
 * Saving snapshots of the folds: on the tab that wasm says, when the page is idle, in slices, and never of
 * a state that anything was confirmed to meanwhile.
 */
import type { FoldSnapshot, LogCore } from "./border.js";
import type { ConfirmedFold } from "./confirmed.js";
import type { Mirror } from "./mirror.js";
import { deadline, nextTask, whenIdle } from "./slices.js";

/** So often a save is tried that somebody asked for, while events are confirmed meanwhile. */
const TRIES = 3;

/** What the saver needs of the engine. */
export interface SaverHost {
  readonly mirror: Mirror;
  /** The core, while the log is open and whole. */
  readonly openCore: () => LogCore | undefined;
  /** Something about the folds' own problems may have changed. */
  readonly changed: () => void;
}

export class Saver {
  readonly #host: SaverHost;
  #scheduled = false;
  #pauses = 0;
  #saving: Promise<boolean> | undefined;
  /** How many saves in a row were not taken. */
  #refused = 0;

  constructor(host: SaverHost) {
    this.#host = host;
  }

  /** Looks whether it is time to save when the page is idle. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    whenIdle(() => {
      this.#scheduled = false;
      this.ifDue();
    });
  }

  /** Saves nothing by itself while `work` goes on, which confirms events all the time. */
  async paused<T>(work: () => Promise<T>): Promise<T> {
    this.#pauses++;
    try {
      return await work();
    } finally {
      this.#pauses--;
      this.schedule();
    }
  }

  /** Saves if wasm says that it is time. */
  ifDue(): void {
    const core = this.#host.openCore();
    if (core === undefined || this.#saving || this.#pauses > 0) return;
    const position = core.snapshotDue();
    // What fails is tried again when more was confirmed; errors of the storage show in the status.
    if (position > 0) this.#save(core, position).catch(() => undefined);
  }

  /** Saves now. False if this tab cannot, or if events were confirmed faster than it could. */
  async now(): Promise<boolean> {
    await this.#saving?.catch(() => undefined);
    for (let tries = 0; tries < TRIES; tries++) {
      await this.#host.openCore()?.atRest();
      // What was written is told here before it can be saved.
      await nextTask();
      const core = this.#host.openCore();
      const position = core?.snapshotNow() ?? 0;
      if (core && position > 0 && (await this.#save(core, position))) return true;
    }
    return false;
  }

  #save(core: LogCore, position: number): Promise<boolean> {
    this.#saving ??= this.#write(core, position).finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #write(core: LogCore, position: number): Promise<boolean> {
    const { mirror } = this.#host;
    const { resets } = mirror;
    const stands = () =>
      this.#host.openCore() === core &&
      mirror.position === position &&
      mirror.resets === resets &&
      mirror.outdated().length === 0 &&
      !mirror.midBatch;
    const saved: ConfirmedFold[] = [];
    const snapshots: FoldSnapshot[] = [];
    let stored = false;
    try {
      for (const fold of mirror.attached()) {
        if (fold.problem) continue;
        const snapshot = await inSlices(fold.save(), stands);
        if (snapshot === "moved") return false;
        if (fold.problem) this.#host.changed();
        if (snapshot === undefined) continue;
        saved.push(fold);
        snapshots.push(snapshot);
      }
      stored = stands() && (await core.saveSnapshot(position, snapshots));
      return stored;
    } finally {
      // Twice in a row: what is stored is not what this tab takes it for, so all of it is written anew.
      this.#refused = stored ? 0 : this.#refused + 1;
      if (!stored && mirror.resets === resets) {
        for (const fold of saved) fold.unsave(this.#refused > 1);
      }
    }
  }
}

/** Runs `work` to its end, unless `stands` says between two slices that it is in vain. */
async function inSlices<T>(
  work: Generator<undefined, T>,
  stands: () => boolean,
): Promise<T | "moved"> {
  if (!stands()) return "moved";
  let expired = deadline();
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (!expired()) continue;
    await nextTask();
    if (!stands()) return "moved";
    expired = deadline();
  }
}
