/**
 * What every subject stores and folds: steps of loan applications, and one row for each application.
 *
 * The fold stands here twice. {@link foldInto} changes rows in place, as a hand-written page would; {@link foldLoan} makes a
 * new row, as Tidelog asks of a fold. A unit test holds them to the same result.
 */

/** One line of the data. */
export interface LoanEvent {
  /** `application/173688` */
  readonly stream: string;
  /** `A_SUBMITTED.complete` */
  readonly type: string;
  /** RFC 3339 */
  readonly time: string;
  readonly data: LoanData;
}

export interface LoanData {
  readonly resource?: string | undefined;
  readonly amountRequested?: number | undefined;
}

/** One application, folded. */
export interface Loan {
  /** The last `A_` activity that was completed; empty before the first. */
  status: string;
  /** 0 before `A_SUBMITTED`. */
  amountRequested: number;
  events: number;
  /** Every `A_` activity that was completed, in order, each once. */
  reached: readonly string[];
  /** Who worked on it, in order, each once. */
  resources: readonly string[];
  /** The type of the last event. */
  last: string;
}

/** Rows by the application's number. */
export type Loans = Map<string, Loan>;

export const KIND = "application";
export const PREFIX = `${KIND}/`;
const SUBMITTED = "A_SUBMITTED";
const NOBODY: readonly string[] = [];

export const UNBORN: Loan = {
  status: "",
  amountRequested: 0,
  events: 0,
  reached: NOBODY,
  resources: NOBODY,
  last: "",
};

export function streamToKey(stream: string): string {
  return stream.slice(PREFIX.length);
}

/** Applies an event to its row, in place. */
export function foldInto(loans: Loans, event: LoanEvent): void {
  const key = streamToKey(event.stream);
  let loan = loans.get(key);
  if (loan === undefined) {
    loan = { ...UNBORN };
    loans.set(key, loan);
  }
  const { resource } = event.data;
  loan.events += 1;
  loan.last = event.type;
  if (resource !== undefined) loan.resources = including(loan.resources, resource);
  const activity = completedActivity(event.type);
  if (activity === undefined) return;
  loan.status = activity;
  loan.reached = including(loan.reached, activity);
  if (activity === SUBMITTED) loan.amountRequested = event.data.amountRequested ?? 0;
}

/** The row after an event. */
export function foldLoan(loan: Loan, type: string, data: LoanData): Loan {
  const activity = completedActivity(type);
  const { resource } = data;
  return {
    status: activity ?? loan.status,
    amountRequested: activity === SUBMITTED ? (data.amountRequested ?? 0) : loan.amountRequested,
    events: loan.events + 1,
    reached: activity === undefined ? loan.reached : including(loan.reached, activity),
    resources: resource === undefined ? loan.resources : including(loan.resources, resource),
    last: type,
  };
}

const activities = new Map<string, string | undefined>();

/** `A_SUBMITTED.complete` → `A_SUBMITTED`; undefined for what is no completed step of the application itself. */
function completedActivity(type: string): string | undefined {
  const known = activities.get(type);
  if (known !== undefined || activities.has(type)) return known;
  const activity =
    type.startsWith("A_") && type.endsWith(".complete")
      ? type.slice(0, -".complete".length)
      : undefined;
  activities.set(type, activity);
  return activity;
}

function including(list: readonly string[], item: string): readonly string[] {
  return list.includes(item) ? list : [...list, item];
}

/** A state in a few numbers: two states that differ are most unlikely to agree in all of them. */
export interface Digest {
  readonly applications: number;
  readonly events: number;
  readonly submitted: number;
  readonly approved: number;
  readonly amount: number;
  readonly resources: number;
  /** Over all fields of all rows, in whatever order they come. */
  readonly checksum: number;
}

/** Applications that a measurement adds begin so; they are no part of a digest. */
export const EXTRA = "extra-";

export function digestOf(loans: Iterable<readonly [key: string, loan: Loan]>): Digest {
  const digest = {
    applications: 0,
    events: 0,
    submitted: 0,
    approved: 0,
    amount: 0,
    resources: 0,
    checksum: 0,
  };
  for (const [key, loan] of loans) {
    if (key.startsWith(EXTRA)) continue;
    digest.applications += 1;
    digest.events += loan.events;
    digest.amount += loan.amountRequested;
    digest.resources += loan.resources.length;
    if (loan.reached.includes(SUBMITTED)) digest.submitted += 1;
    if (loan.reached.includes("A_APPROVED")) digest.approved += 1;
    const { status, events, last, reached, resources } = loan;
    const text = `${key} ${status} ${events} ${last} ${reached} ${resources}`;
    digest.checksum = (digest.checksum + hash(text)) >>> 0;
  }
  return digest;
}

/** FNV-1a over the UTF-16 units. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  }
  return state >>> 0;
}

/** A result that is not what a plain fold of the data gives. A benchmark that meets one has failed. */
export class WrongResult extends Error {
  override readonly name = "WrongResult";
}

/** Throws {@link WrongResult} unless both are equal. */
export function checkDigest(actual: Digest, expected: Digest): void {
  for (const name of Object.keys(expected) as (keyof Digest)[]) {
    if (actual[name] !== expected[name]) {
      throw new WrongResult(
        `the state has ${name} ${actual[name]}, a plain fold of the data has ${expected[name]}`,
      );
    }
  }
}
