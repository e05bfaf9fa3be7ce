/**
 * The life of one open log: it loads and opens wasm's core, drains its notices into the mirror in slices
 * that leave the page free, and tells subscribers once for each drain. No user code ever runs inside a
 * call into wasm.
 */
import { aborted } from "./abort.js";
import type { CoreFactory, CoreOptions, LogCore, Notice, QuestionNotice } from "./border.js";
import { Builder } from "./builder.js";
import { Deciding } from "./deciding.js";
import type { Projection } from "./define.js";
import { coreErrorToTidelogError, fromCore, TidelogError, tidelogError } from "./errors.js";
import { Cell } from "./live.js";
import type { Streams } from "./log-types.js";
import { Mirror } from "./mirror.js";
import { parkedInfoToParked, parkedInfoToReason } from "./parked.js";
import type { Fold } from "./projections.js";
import { Receipts } from "./receipts.js";
import { Saver } from "./saver.js";
import { deadline, nextTask } from "./slices.js";
import { LiveStatus, type Phase, statusOf } from "./status.js";
import type { ParkedCommit, Status } from "./types.js";

export interface EngineOptions extends Omit<CoreOptions, "wake" | "folds"> {
  readonly streams: Streams;
}

export class Engine {
  readonly mirror: Mirror;
  readonly receipts = new Receipts();
  readonly status: LiveStatus;
  readonly parked: Cell<readonly ParkedCommit[]>;
  readonly saver: Saver;
  readonly builder: Builder;
  /** Decides a command again; set once by the commands. */
  readonly deciding = new Deciding(this);
  /** Called after events were confirmed and shown. */
  readonly onConfirmed = new Set<() => void>();
  /** Called once, when the first commit of this tab is stored. */
  onStored: (core: LogCore) => void = () => undefined;
  readonly #options: EngineOptions;
  readonly #makeCore: CoreFactory;
  readonly #closing = new AbortController();
  #phase: Phase = "idle";
  #core: LogCore | undefined;
  #opened: Promise<void> | undefined;
  #failure: TidelogError | undefined;
  #reset: Status["reset"];
  #damaged: Status["damaged"];
  #pumping = false;
  #wakes = false;
  /** Wasm may have something to say: it woke since it was last asked until it had nothing more. */
  #unheard = true;
  #inUserCode: string | undefined;
  #queueStale = false;
  #parkedStale = false;
  #parkedTurn = 0;
  #stored = false;
  #tellsStatus = false;
  /** The position that was shown last. */
  #shownPosition = 0;
  readonly #questions: QuestionNotice[] = [];

  constructor(options: EngineOptions, makeCore: CoreFactory) {
    this.#options = options;
    this.#makeCore = makeCore;
    this.mirror = new Mirror(options.streams, this.use);
    this.builder = new Builder({
      mirror: this.mirror,
      core: () => this.#coreOrThrow(),
      isClosed: () => this.#isClosed(),
      heard: this.#heard,
      asked: this.asked,
      pure: (subject, run) => this.pure(subject, run),
      show: () => this.show(),
      tell: () => this.#tell(),
      tellStatus: () => this.#tellStatus(),
    });
    this.status = new LiveStatus(this.#statusNow, this.use);
    this.parked = new Cell<readonly ParkedCommit[]>([], this.use);
    this.saver = new Saver({
      mirror: this.mirror,
      openCore: () => (this.#phase === "ready" && !this.#failure ? this.#core : undefined),
      changed: () => this.#tell(),
    });
  }

  /** Has the log a server? */
  get isSynced(): boolean {
    return this.#options.url !== undefined;
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
    this.#hear(core);
    if (this.#failure) throw this.#failure;
    if (this.#isReopening()) throw tidelogError("not_ready", { log: this.#options.log });
    return core;
  }

  /** Everything that wasm has said is shown. In slices, unlike {@link show}. */
  async caughtUp(): Promise<void> {
    if (this.#phase === "ready") await this.#heard();
    this.#tell();
  }

  /** The core once it is open, for reads that may wait. */
  async opened(): Promise<LogCore> {
    await this.ready();
    return this.current();
  }

  /** What wasm promised, its failures as classes. Rejects with `closed` as soon as the log is closed. */
  readonly asked = <T>(promise: Promise<T>): Promise<T> =>
    fromCore(aborted(promise, this.#closing.signal));

  /** Ends the receipt of a commit that is parked, with wasm's reason if that can be read. */
  async settleParked(core: LogCore, id: string): Promise<void> {
    const infos = await core.parked().catch(() => []);
    const info = infos.find((parked) => parked.id === id);
    this.receipts.park(id, info ? parkedInfoToReason(info) : undefined);
  }

  /**
   * A core of its own over a database that `failure` kept from being opened, for what can still be read: all
   * before the damage. Whoever asks closes it.
   */
  async salvaged(failure: unknown): Promise<LogCore> {
    const damaged = failure instanceof TidelogError && failure.code === "database_corrupt";
    if (!damaged || this.#isClosed()) throw failure;
    const { streams: _, ...options } = this.#options;
    let core: LogCore | undefined;
    // It replays only as fast as somebody takes what it says.
    const wake = () =>
      queueMicrotask(() => {
        while (core?.poll());
      });
    core = await this.#makeCore({ ...options, snapshots: false, folds: [], wake });
    // It fails again where it did before; what comes before that is there now.
    await core.open().catch(() => undefined);
    return core;
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
    this.#unheard = true;
    this.showOwn();
  }

  /** The same after an append: of that, wasm has nothing to say that it does not wake for. */
  showOwn(): void {
    if (this.#core && this.#phase === "ready") this.#hear(this.#core);
    this.#tellState();
    // The status is told once for all commands of a task, and read anew by whoever asks before.
    this.status.touch();
    if (this.#tellsStatus) return;
    this.#tellsStatus = true;
    queueMicrotask(() => {
      this.#tellsStatus = false;
      this.status.tell();
    });
  }

  /** The fold of a projection; one that comes after the log was opened catches up in the background. */
  fold(projection: Projection<unknown>): Fold {
    const { mirror } = this;
    const known = mirror.fold(projection);
    const fold = known ?? mirror.addFold(projection);
    if (this.#phase !== "ready") return fold;
    if (!mirror.attached().includes(fold.confirmed)) {
      // Not now: nobody is told anything while a page renders.
      queueMicrotask(() => this.#buildLater());
    } else if (known === undefined) {
      this.pure(projection.name, () => fold.refresh(mirror.queue.events()));
    }
    return fold;
  }

  /** See `LogMembers.syncNow`. */
  syncNow(): void {
    this.use();
    // One that opens tries the server anyway.
    if (this.#phase === "ready") this.#core?.kick();
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
    this.#closing.abort(this.closedError());
    this.#onPage("removeEventListener");
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
      const folds = options.snapshots ? this.mirror.names() : [];
      this.mirror.start();
      const core = await this.#makeCore({ ...options, folds, wake: this.#wake });
      this.#core = core;
      await core.open();
      while (!this.#drain(core, deadline())) await nextTask();
      if (this.#failure) throw this.#failure;
      // No batch behind the snapshots: they are all there is.
      if (this.mirror.folded === 0) this.mirror.startAt(core.status().position);
      await this.builder.buildKinds();
      await this.#refreshParked(core);
      this.#begin();
    } catch (thrown) {
      throw this.#notOpened(thrown);
    }
  }

  #notOpened(thrown: unknown): TidelogError {
    if (this.#isClosed()) return this.closedError();
    const failure = coreErrorToTidelogError(thrown);
    this.#failure = failure;
    this.#phase = "failed";
    // A core that is not used must not hold the database, nor a lease.
    this.#core?.close().catch(() => undefined);
    this.#core = undefined;
    this.mirror.reset();
    // Not kept: the next `ready()` tries again.
    this.#opened = undefined;
    this.#tell();
    if (failure.code === "history_not_available" && typeof addEventListener === "function") {
      const again = () => {
        if (this.#phase === "failed") this.ready().catch(() => undefined);
      };
      addEventListener("online", again, { once: true });
    }
    return failure;
  }

  /** The log began anew, and not every kind has a snapshot: as when opening, commands wait. */
  #reopen(core: LogCore): void {
    this.#phase = "opening";
    this.#onPage("removeEventListener");
    this.#opened = this.builder
      .buildKinds()
      .then(() => this.#refreshParked(core))
      .then(() => this.#begin())
      .catch((thrown: unknown) => {
        throw this.#notOpened(thrown);
      });
    this.#opened.catch(() => undefined);
  }

  /** The end of opening: rows appear. */
  #begin(): void {
    if (this.#isClosed()) throw this.closedError();
    if (this.#failure) throw this.#failure;
    this.#phase = "ready";
    this.#onPage("addEventListener");
    this.show();
    this.#buildLater();
  }

  /** Builds what is behind or outdated in the background. */
  #buildLater(): void {
    if (this.#phase !== "ready") return;
    this.builder.buildLater();
    this.builder.renewLater();
  }

  get #isBehind(): boolean {
    return this.mirror.behind().length > 0 || this.mirror.outdated().length > 0;
  }

  /** A page that is hidden may never be seen again, so less is enough for a snapshot. */
  readonly #hidden = (): void => {
    if (document.visibilityState === "hidden") this.saver.ifDue();
  };

  #onPage(method: "addEventListener" | "removeEventListener"): void {
    if (typeof document !== "undefined") document[method]("visibilitychange", this.#hidden);
  }

  #coreOrThrow(): LogCore {
    if (this.#isClosed() || this.#core === undefined) throw this.closedError();
    if (this.#failure) throw this.#failure;
    return this.#core;
  }

  // May be called from inside any call into wasm, so nothing happens before that has returned.
  readonly #wake = (): void => {
    this.#unheard = true;
    if (this.#wakes) return;
    this.#wakes = true;
    queueMicrotask(() => {
      this.#wakes = false;
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

  /** Everything that wasm has said is taken in. */
  readonly #heard = async (): Promise<void> => {
    for (let core = this.#core; core && !this.#isClosed(); core = this.#core) {
      const drained = this.#drain(core, deadline());
      if (drained) return;
      await nextTask();
    }
  };

  /** Takes in all that wasm has to say, if it has anything: commands come by the thousand. */
  #hear(core: LogCore): void {
    if (this.#unheard) this.#drain(core, () => false);
  }

  /** Polls until wasm has nothing more to say (true) or time is up. */
  #drain(core: LogCore, expired: () => boolean): boolean {
    this.#unheard = false;
    const drained = this.#drainUntil(core, expired);
    this.#unheard ||= !drained;
    return drained;
  }

  #drainUntil(core: LogCore, expired: () => boolean): boolean {
    try {
      for (;;) {
        const done = this.pure("this log", () => this.mirror.advance(expired));
        if (!done) return false;
        const notice = core.poll();
        if (notice) this.#handle(core, notice);
        else if (!this.#catchUp(core)) {
          this.mirror.drained();
          if (this.#phase === "ready" && this.mirror.kindsBehind) this.#reopen(core);
          return true;
        }
        if (expired()) return false;
      }
    } catch (thrown) {
      this.fail(thrown);
      return true;
    }
  }

  /**
   * What must see wasm's state as a whole, and so waits until no notice is left: one question, which may
   * bring the next, and then the queue (it may be ahead of a batch that was not polled yet). False if
   * there was nothing.
   */
  #catchUp(core: LogCore): boolean {
    const question = this.#questions.shift();
    if (question) {
      this.deciding.answer(core, question);
      return true;
    }
    if (this.#queueStale) {
      this.#queueStale = false;
      this.mirror.refreshQueue(core);
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
        this.deciding.forget();
        this.mirror.begin(notice.batch, notice.settled);
        break;
      case "queue":
        this.deciding.forget();
        this.#queueStale = true;
        break;
      case "receipt":
        this.receipts.handle(notice);
        if (notice.state === "durable" || notice.state === "confirmed") this.#noteStored(core);
        if (notice.state === "parked") this.settleParked(core, notice.id).catch(this.fail);
        break;
      case "durable":
        this.receipts.handleDurable(notice.ids);
        this.#noteStored(core);
        break;
      case "snapshot":
        this.mirror.beginSnapshot(notice);
        break;
      case "damaged":
        this.#damaged = { from: notice.from, refetch: notice.refetch };
        break;
      case "rerun":
      case "merge":
        this.#questions.push(notice);
        break;
      case "parked":
        this.#parkedStale = true;
        break;
      case "reset":
        this.deciding.forget();
        // What was erased while the log was opened is nothing to tell: no state of before has been shown.
        if (notice.reason !== "erased") this.#reset = { reason: notice.reason };
        this.#queueStale = true;
        this.mirror.reset(notice.after);
        break;
      case "erased":
        this.deciding.forget();
        this.mirror.erased();
        this.#buildLater();
        break;
      case "status":
        // The way to the server may be open again.
        if (this.#isBehind && core.status().phase === "live") this.#buildLater();
        this.saver.schedule();
        break;
    }
  }

  #noteStored(core: LogCore): void {
    if (this.#stored) return;
    this.#stored = true;
    this.onStored(core);
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
    this.#tellState();
    this.#tellStatus();
  }

  #tellState(): void {
    if (this.#phase !== "ready" || this.mirror.midBatch) {
      this.parked.tell();
      return;
    }
    const tellers = this.pure("this log", () => this.mirror.refresh());
    for (const tell of tellers) tell();
    this.parked.tell();
    if (this.#shownPosition === this.mirror.position) return;
    this.#shownPosition = this.mirror.position;
    const refetched = this.#damaged?.refetch && this.mirror.position >= this.#damaged.from;
    if (refetched) this.#damaged = undefined;
    this.saver.schedule();
    for (const listener of this.onConfirmed) listener();
  }

  #tellStatus(): void {
    this.status.touch();
    this.status.tell();
  }

  readonly #statusNow = (): Status =>
    statusOf({
      phase: this.#phase,
      core: this.#phase === "closed" ? undefined : this.#core?.status(),
      mirror: this.mirror,
      failure: this.#failure,
      unbuilt: this.builder.failure,
      reset: this.#reset,
      damaged: this.#damaged,
      rebuilding: this.builder.rebuilding,
      behind: this.builder.behind,
    });

  #isReopening(): boolean {
    return this.#phase === "opening";
  }

  // A method, because the type checker does not see that `close` runs during an `await`.
  #isClosed(): boolean {
    return this.#phase === "closed";
  }

  closedError(): TidelogError {
    return tidelogError("closed", { log: this.#options.log });
  }
}
