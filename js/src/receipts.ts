/** Receipts: promises about a commit, kept by what wasm reports of it. */
import type { Outcome, ReceiptNotice } from "./border.js";
import { coreErrorToTidelogError, type TidelogError, tidelogError } from "./errors.js";
import type { Reason, Receipt, Settlement } from "./types.js";

/** A receipt on its way. Its promises are made for those who ask: most commits of a burst have nobody who waits. */
class OpenReceipt implements Receipt {
  readonly id: string;
  readonly ok = true;
  #durable: true | TidelogError | undefined;
  #settlement: Settlement | undefined;
  #whenDurable: Deferred<void> | undefined;
  #whenSettled: Deferred<Settlement> | undefined;

  constructor(id: string) {
    this.id = id;
  }

  get durable(): Promise<void> {
    if (this.#whenDurable === undefined) {
      this.#whenDurable = deferred<void>();
      // Nobody needs to listen: the failure is in `settled` as well.
      this.#whenDurable.promise.catch(() => undefined);
      if (this.#durable === true) this.#whenDurable.resolve();
      else if (this.#durable !== undefined) this.#whenDurable.reject(this.#durable);
    }
    return this.#whenDurable.promise;
  }

  get settled(): Promise<Settlement> {
    if (this.#whenSettled === undefined) {
      this.#whenSettled = deferred<Settlement>();
      if (this.#settlement) this.#whenSettled.resolve(this.#settlement);
    }
    return this.#whenSettled.promise;
  }

  isDurable(): void {
    if (this.#durable !== undefined) return;
    this.#durable = true;
    this.#whenDurable?.resolve();
  }

  fail(error: TidelogError): void {
    if (this.#durable !== undefined) return;
    this.#durable = error;
    this.#whenDurable?.reject(error);
  }

  settle(settlement: Settlement): void {
    this.#settlement ??= settlement;
    this.#whenSettled?.resolve(this.#settlement);
  }
}

/** Characters of a commit's id. */
const ID = 36;

/** The receipts whose commits have not settled. */
export class Receipts {
  readonly #open = new Map<string, OpenReceipt>();

  /** The receipt of a commit that is not settled; made if there is none. */
  of(id: string): Receipt {
    const known = this.#open.get(id);
    if (known) return known;
    const open = new OpenReceipt(id);
    this.#open.set(id, open);
    return open;
  }

  has(id: string): boolean {
    return this.#open.has(id);
  }

  /** A commit that is parked is settled by {@link park}, which needs its reason. */
  handle(notice: ReceiptNotice): void {
    const open = this.#open.get(notice.id);
    if (open === undefined) return;
    const { id, state } = notice;
    if (state === "failed") {
      const error = coreErrorToTidelogError(
        notice.error ?? tidelogError("not_stored", { commit: id }),
      );
      this.fail(id, error);
      return;
    }
    if (state === "unknown") {
      open.fail(tidelogError("unknown_outcome", { commit: id }));
      this.#settle(id, open, { state });
      return;
    }
    // A commit is pushed only after it is durable, so every later state says so too.
    open.isDurable();
    if (state === "confirmed") this.#settle(id, open, { state, position: notice.position ?? 0 });
  }

  /** Many commits at once, their ids joined. */
  handleDurable(ids: string): void {
    for (let i = 0; i < ids.length; i += ID) this.#open.get(ids.slice(i, i + ID))?.isDurable();
  }

  park(id: string, reason = conflictToReason(tidelogError("conflict"))): void {
    const open = this.#open.get(id);
    if (open) this.#settle(id, open, { state: "parked", reason });
  }

  /** What the database knows of a commit, for a receipt that was asked for later. */
  handleOutcome(id: string, outcome: Outcome): void {
    if (outcome.state === "local") return;
    if (outcome.state === "absent") {
      this.fail(id, tidelogError("not_stored", { commit: id }));
      return;
    }
    const { state, position } = outcome;
    const notice = { kind: "receipt", id, state } as const;
    this.handle(position === undefined ? notice : { ...notice, position });
  }

  fail(id: string, error: TidelogError): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    open.fail(error);
    this.#settle(id, open, { state: "failed", error });
  }

  /** The log was closed: what is not settled stays unknown to this page. */
  close(error: TidelogError): void {
    for (const [id, open] of this.#open) {
      open.fail(error);
      this.#settle(id, open, { state: "unknown" });
    }
  }

  #settle(id: string, open: OpenReceipt, settlement: Settlement): void {
    this.#open.delete(id);
    open.settle(settlement);
  }
}

/** The receipt of a commit that was not appended: it never becomes durable. */
export function refusedReceipt(id: string, reason: Reason): Receipt {
  const conflict = reason.code === "version_conflict";
  const durable = Promise.reject<void>(
    conflict
      ? tidelogError("version_conflict", { ...reason })
      : tidelogError("refused", { reason: reason.code, problem: reason.message }),
  );
  durable.catch(() => undefined);
  return {
    id,
    ok: false,
    reason,
    durable,
    settled: Promise.resolve({ state: "refused", reason }),
  };
}

/** The receipt of a command that had nothing to do: what it wanted holds already. */
export function emptyReceipt(id: string, position: number): Receipt {
  return {
    id,
    ok: true,
    durable: Promise.resolve(),
    settled: Promise.resolve({ state: "confirmed", position }),
  };
}

/** A version conflict as a receipt's reason. */
export function conflictToReason(error: TidelogError): Reason {
  const { stream, expected, actual } = error.fields as Partial<Reason>;
  return {
    code: error.code,
    message: error.message,
    ...(stream === undefined ? {} : { stream }),
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
  };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** `Promise.withResolvers`, which Safari before 17.4 and Node 20 lack. */
function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>["resolve"] = () => undefined;
  let reject: Deferred<T>["reject"] = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
