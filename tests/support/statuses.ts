/**
 * Every status that a page has shown, from the moment its log is made. What a status may say, and what may follow what, is
 * asserted over all of them: a wrong word that was on the screen for a blink counts as much as one that stays.
 */
import type { Page } from "@playwright/test";
import type { Status } from "tidelog";
import { expect } from "./demo.ts";

/** A status as it is compared. */
export interface ShownStatus
  extends Pick<Status, "phase" | "position" | "head" | "pending" | "parked" | "leader"> {
  readonly error?: string;
  readonly retries: boolean;
  /** Why the log began anew. */
  readonly reset?: string;
  /** How many resets there were before it: positions begin again with each. */
  readonly resets: number;
}

/** The errors that a status may name in a phase; the empty one is none. Of other phases any. */
const REASONS: { readonly [phase: string]: RegExp } = {
  blocked: /^(unauthorized|forbidden|unknown_log|client_too_old)$/,
  error: /./,
  // What it has to catch up with is another history.
  "catching-up": /^(history_changed)?$/,
  live: /^$/,
  local: /^$/,
};

/** Has a page of the demo, which is not loaded yet, record its status and its status line whenever it is loaded. */
export async function recordDemo(page: Page): Promise<void> {
  await page.addInitScript(record);
  await page.addInitScript(() => {
    let log: unknown;
    Object.defineProperty(window, "tidelog", {
      configurable: true,
      get: () => log,
      set: (made) => {
        log = made;
        window.recordStatuses(made);
      },
    });
    const lines: StatusLine[] = [];
    window.statusLines = lines;
    const look = () => {
      const line = document.querySelector<HTMLElement>("[role=status][data-phase]");
      if (line === null) return;
      const now = { phase: line.dataset.phase ?? "", words: line.textContent ?? "" };
      const last = lines.at(-1);
      if (now.phase !== last?.phase || now.words !== last.words) lines.push(now);
    };
    new MutationObserver(look).observe(document, {
      attributes: true,
      attributeFilter: ["data-phase"],
      characterData: true,
      childList: true,
      subtree: true,
    });
  });
}

/** Has the lab's log record its status, before it is opened. */
export async function recordLab(page: Page): Promise<void> {
  await page.evaluate(record);
  await page.evaluate(() => window.recordStatuses(window.lab.log));
}

declare global {
  interface Window {
    recordStatuses(log: { readonly status: LiveStatus }): void;
    statuses: ShownStatus[];
    statusLines?: StatusLine[];
  }
}

/** What a status line said. */
interface StatusLine {
  readonly phase: string;
  readonly words: string;
}

interface LiveStatus {
  getSnapshot: () => Status;
  subscribe(listener: (status: Status) => void): unknown;
}

/** Runs in the page. */
function record(): void {
  window.statuses = [];
  window.recordStatuses = ({ status }) => {
    let last: Status | undefined;
    let resets = 0;
    const add = (now: Status) => {
      if (now === last) return;
      const { phase, position, head, pending, parked, leader, error, retryAt, reset } = now;
      if (reset !== last?.reset) resets += 1;
      last = now;
      window.statuses.push({
        ...{ phase, position, head, pending, parked, leader, resets },
        ...(error ? { error: error.code } : {}),
        ...(reset ? { reset: reset.reason } : {}),
        retries: retryAt !== undefined,
      });
    };
    // A page may read what its subscribers are not told, because something newer has come since.
    const { getSnapshot } = status;
    status.getSnapshot = () => {
      const now = getSnapshot();
      add(now);
      return now;
    };
    add(getSnapshot());
    status.subscribe(add);
  };
}

/** All that the page has shown since it was loaded. */
export function statusesOf(page: Page): Promise<readonly ShownStatus[]> {
  return page.evaluate(() => window.statuses);
}

/**
 * The phases, each once in a row. News of others may come at any time, and {@link contradictionsOf} demands that there was
 * something to catch up with: so what goes from there to live counts as live.
 */
export function phasesOf(statuses: readonly ShownStatus[]): string {
  const row = (phases: readonly string[]) => phases.filter((phase, i) => phase !== phases[i - 1]);
  const phases = row(statuses.map(({ phase }) => phase));
  return row(phases.filter((phase, i) => phase !== "catching-up" || phases[i + 1] !== "live")).join(
    " ",
  );
}

/**
 * Asserts that every status of the page was true to itself and to the one before it, and that their phases were no others
 * than `allowed` says: a regular expression over the names with a space between them. Of a page of the demo, the same of its
 * status line.
 */
export async function expectStatuses(page: Page, allowed: RegExp): Promise<void> {
  const statuses = await statusesOf(page);
  expect(statuses.length).toBeGreaterThan(0);
  expect(phasesOf(statuses)).toMatch(new RegExp(`^(?:${allowed.source})$`));
  expect(contradictionsOf(statuses)).toEqual([]);
  const lines = await page.evaluate(() => window.statusLines);
  if (lines !== undefined) expect(untrue(lines, statuses), "no status says so").toBeUndefined();
}

/** The first line on the screen that no status stands behind, in their order. */
function untrue(lines: readonly StatusLine[], statuses: readonly ShownStatus[]) {
  let at = 0;
  for (const line of lines) {
    const found = statuses.slice(at).findIndex((status) => says(line, status));
    if (found < 0) return line;
    at += found;
  }
  return undefined;
}

function says({ phase, words }: StatusLine, { pending, parked, ...status }: ShownStatus): boolean {
  const count = (of: number, what: string) =>
    of > 0 ? [`${of.toLocaleString("en")} ${what}`] : [];
  const counts = [...count(pending, "pending"), ...count(parked, "parked")];
  return phase === status.phase && words.split(" · ").slice(1).join(" · ") === counts.join(" · ");
}

/** What in a row of statuses cannot be true. */
export function contradictionsOf(statuses: readonly ShownStatus[]): readonly string[] {
  const wrong: string[] = [];
  let before: ShownStatus | undefined;
  let fell: Pick<ShownStatus, "position" | "parked"> = { position: 0, parked: 0 };
  for (const [i, status] of statuses.entries()) {
    const say = (what: string) => wrong.push(`status ${i}: ${what}: ${JSON.stringify(status)}`);
    const { phase, error, position, head, pending } = status;
    if (REASONS[phase]?.test(error ?? "") === false) say("it names the wrong reason, or none");
    if (phase === "catching-up" && position >= head && error === undefined)
      say("there is nothing to catch up with");
    if (status.retries && error === undefined) say("tries again, and nothing is wrong");
    if (before !== undefined && before.resets === status.resets) {
      if (position < before.position) say(`went back from ${before.position}`);
      // What is confirmed may leave the pending ones a status later, but not before.
      const settled = position > fell.position || status.parked > fell.parked;
      if (pending < before.pending) {
        if (!settled && phase !== "closed") say(`${before.pending} were pending`);
        fell = status;
      }
    } else fell = { position: 0, parked: 0 };
    before = status;
  }
  // News may be on their way to the disk, own ones and others', but not for ever.
  if (before?.phase === "live" && before.position < before.head)
    wrong.push(`it ends live at ${before.position}, and the server is at ${before.head}`);
  return wrong;
}
