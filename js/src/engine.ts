/**
 * The life of one open log: it loads and opens wasm's core, drains its notices into the mirror in slices
 * that leave the page free, and tells subscribers once for each drain. No user code ever runs inside a
 * call into wasm.
 */
import type { CoreFactory, CoreOptions, LogCore, Notice, RerunNotice } from "./border.js";
import { coreErrorToTidelogError, type TidelogError, tidelogError } from "./errors.js";
import { Cell, nextTask } from "./live.js";
import type { Streams } from "./log-types.js";
import { Mirror } from "./mirror.js";
import { parkedInfoToParked, parkedInfoToReason } from "./parked.js";
import { Receipts } from "./receipts.js";
import { type Phase, sameStatus, statusOf } from "./status.js";
import type { ParkedCommit, Status } from "./types.js";

/** Milliseconds of folding between two chances for the page. */
const SLICE = 8;

export interface EngineOptions extends Omit<CoreOptions, "wake"> {
  readonly streams: Streams;
}

export class Engine {
  readonly mirror: Mirror;
  readonly receipts = new Receipts();
  readonly status: Cell<Status>;
  readonly parked: Cell<readonly ParkedCommit[]>;
  /** Decides a command again; set once by the commands. */
  answer: (core: LogCore, notice: RerunNotice) => void = () => undefined;
  readonly #options: EngineOptions;
  readonly #makeCore: CoreFactory;
  #phase: Phase = "idle";
  #core: LogCore | undefined;
  #opened: Promise<void> | undefined;
  #failure: TidelogError | undefined;
  #reset: { readonly reason: string } | undefined;
  #pumping = false;
  #inUserCode: string | undefined;
  #queueStale = false;
  #parkedStale = false;
  #parkedTurn = 0;
  readonly #reruns: RerunNotice[] = [];

  constructor(options: EngineOptions, makeCore: CoreFactory) {
    this.#options = options;
    this.#makeCore = makeCore;
    this.mirror = new Mirror(options.streams, this.use);
    this.status = new Cell(this.#statusNow(), this.use);
    this.parked = new Cell<readonly ParkedCommit[]>([], this.use);
  }

  /** Opens the log in the background if nobody has; a failure shows in `status`. */
  readonly use = (): void => {
    if (this.#phase === "idle") this.ready().catch(() => undefined);
  };

  /** Open and replayed. After a failure the next call tries again. */
  ready(): Promise<void> {
    if (this.#phase === "closed") return Promise.reject(this.closedError());
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /** The core with every notice taken in. Throws `not_ready`, `closed`, `reentrant_call` or what failed. */
  current(): LogCore {
    if (this.#inUserCode !== undefined) {
      throw tidelogError("reentrant_call", { subject: this.#inUserCode });
    }
    if (this.#phase === "closed") throw this.closedError();
    this.use();
    const core = this.#core;
    if (this.#failure) throw this.#failure;
    if (this.#phase !== "ready" || core === undefined) {
      throw tidelogError("not_ready", { log: this.#options.log });
    }
    this.#drain(core, () => false);
    if (this.#failure) throw this.#failure;
    return core;
  }

  /** The core once it is open, for reads that may wait. */
  async opened(): Promise<LogCore> {
    await this.ready();
    return this.current();
  }

  /** Ends the receipt of a commit that is parked, with wasm's reason if that can be read. */
  async settleParked(core: LogCore, id: string): Promise<void> {
    const infos = await core.parked().catch(() => []);
    const info = infos.find((parked) => parked.id === id);
    this.receipts.park(id, info ? parkedInfoToReason(info) : undefined);
  }

  /** Runs the app's code, which must not call the log. */
  pure<T>(subject: string, run: () => T): T {
    const outer = this.#inUserCode;
    this.#inUserCode = subject;
    try {
      return run();
    } finally {
      this.#inUserCode = outer;
    }
  }

  /** Takes in what wasm has to say, folds what changed, and tells the subscribers. */
  show(): void {
    if (this.#core && this.#phase === "ready") this.#drain(this.#core, () => false);
    this.#tell();
  }

  /** Something that must not happen: the log stops where it is, and says so in `status`. */
  readonly fail = (thrown: unknown): void => {
    // What is in flight when the log is closed ends with `closed`, as it should.
    if (this.#phase === "closed") return;
    this.#failure = coreErrorToTidelogError(thrown);
    this.#tell();
  };

  async close(): Promise<void> {
    if (this.#phase === "closed") return;
    const core = this.#core;
    this.#phase = "closed";
    try {
      if (core) {
        await core.close();
        this.#drain(core, () => false);
      }
    } finally {
      this.receipts.close(this.closedError());
      this.#core = undefined;
      this.#tell();
    }
  }

  async #open(): Promise<void> {
    this.#phase = "opening";
    this.#failure = undefined;
    this.#tell();
    try {
      const { streams: _, ...options } = this.#options;
      const core = await this.#makeCore({ ...options, wake: this.#wake });
      this.#core = core;
      await core.open();
      while (!this.#drain(core, deadline())) await nextTask();
      if (this.#failure) throw this.#failure;
      await this.#refreshParked(core);
      this.#begin();
    } catch (thrown) {
      if (this.#isClosed()) throw this.closedError();
      this.#failure = coreErrorToTidelogError(thrown);
      this.#phase = "failed";
      this.#core = undefined;
      this.mirror.reset();
      // Not kept: the next `ready()` tries again.
      this.#opened = undefined;
      this.#tell();
      throw this.#failure;
    }
  }

  /** The end of opening: rows appear. */
  #begin(): void {
    if (this.#isClosed()) throw this.closedError();
    this.#phase = "ready";
    this.show();
  }

  // May be called from inside any call into wasm, so nothing happens before that has returned.
  readonly #wake = (): void => {
    queueMicrotask(() => {
      this.#pump().catch(this.fail);
    });
  };

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      for (let core = this.#core; core; core = this.#core) {
        const drained = this.#drain(core, deadline());
        if (!this.mirror.midBatch) this.#tell();
        if (drained) return;
        await nextTask();
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Polls until wasm has nothing more to say (true) or time is up. */
  #drain(core: LogCore, expired: () => boolean): boolean {
    try {
      for (;;) {
        const done = this.pure("this log", () => this.mirror.advance(expired));
        if (!done) return false;
        const notice = core.poll();
        if (notice) this.#handle(core, notice);
        else if (!this.#catchUp(core)) return true;
        if (expired()) return false;
      }
    } catch (thrown) {
      this.fail(thrown);
      return true;
    }
  }

  /**
   * What must see wasm's state as a whole, and so waits until no notice is left: the queue (it may be
   * ahead of a batch that was not polled yet), then one rerun. False if there was nothing.
   */
  #catchUp(core: LogCore): boolean {
    if (this.#queueStale || this.#reruns.length > 0) {
      this.#queueStale = false;
      this.mirror.refreshQueue(core);
      const rerun = this.#reruns.shift();
      if (rerun) this.answer(core, rerun);
      return true;
    }
    if (this.#parkedStale && this.#phase === "ready") {
      this.#parkedStale = false;
      // What could not be read now is read at the next notice; the core's status says what is wrong.
      this.#refreshParked(core).catch(() => {
        this.#parkedStale = true;
      });
    }
    return false;
  }

  #handle(core: LogCore, notice: Notice): void {
    switch (notice.kind) {
      case "batch":
        this.mirror.begin(notice.batch, notice.settled);
        break;
      case "queue":
        this.#queueStale = true;
        break;
      case "receipt":
        this.receipts.handle(notice);
        if (notice.state === "parked") this.settleParked(core, notice.id).catch(this.fail);
        break;
      case "rerun":
        this.#reruns.push(notice);
        break;
      case "parked":
        this.#parkedStale = true;
        break;
      case "reset":
        this.#reset = { reason: notice.reason };
        this.#queueStale = true;
        this.mirror.reset();
        break;
      case "status":
        break;
    }
  }

  async #refreshParked(core: LogCore): Promise<void> {
    const turn = ++this.#parkedTurn;
    const infos = await core.parked();
    if (turn !== this.#parkedTurn || this.#isClosed()) return;
    const streams = infos.flatMap(({ mine }) => mine.map((event) => event.stream));
    this.mirror.setConflicts(new Set(streams));
    if (infos.length > 0 || this.parked.getSnapshot().length > 0) {
      this.parked.set(infos.map(parkedInfoToParked));
    }
    this.show();
  }

  #tell(): void {
    const tellers =
      this.#phase === "ready" && !this.mirror.midBatch
        ? this.pure("this log", () => this.mirror.refresh())
        : [];
    const status = this.#statusNow();
    if (!sameStatus(status, this.status.getSnapshot())) this.status.set(status);
    for (const tell of tellers) tell();
    this.parked.tell();
    this.status.tell();
  }

  #statusNow(): Status {
    return statusOf({
      phase: this.#phase,
      core: this.#phase === "closed" ? undefined : this.#core?.status(),
      mirror: this.mirror,
      failure: this.#failure,
      reset: this.#reset,
    });
  }

  // A method, because the type checker does not see that `close` runs during an `await`.
  #isClosed(): boolean {
    return this.#phase === "closed";
  }

  closedError(): TidelogError {
    return tidelogError("closed", { log: this.#options.log });
  }
}

function deadline(): () => boolean {
  const end = performance.now() + SLICE;
  return () => performance.now() >= end;
}
