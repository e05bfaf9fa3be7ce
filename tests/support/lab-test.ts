/** The test of the suites that make logs of their own: `tide`, a server with the log `lab`, and `lab` before it. */
import type { BrowserContext, Page } from "@playwright/test";
import type { ParkedCommit } from "tidelog";
import { fold } from "../lab/counter.ts";
import type { CounterRow, LabOptions } from "../lab/lab.ts";
import { test as demo, expect } from "./demo.ts";
import { Lab } from "./lab.ts";
import { recordLab } from "./statuses.ts";

export { expect } from "./demo.ts";

/** Where the log `lab` is synced. */
export const URL = "/v1/logs/lab";

export const test = demo.extend<{ lab: Lab }>({
  tideOptions: { logs: ["lab"] },
  lab: async ({ tide }, use) => {
    const lab = await Lab.before(tide.origin);
    await use(lab);
    await lab.close();
  },
});

/** Makes the page's log, which records each status that it shows, and waits until it is open. */
export async function openLog(page: Page, options: LabOptions = {}): Promise<void> {
  await page.evaluate((options) => window.lab.make(options), options);
  await recordLab(page);
  await page.evaluate(() => window.lab.log.ready());
}

/** A new tab of a browser whose log is open and has nothing left to do. */
export async function openSynced(
  lab: Lab,
  context: BrowserContext,
  options: LabOptions = { url: URL },
): Promise<Page> {
  const page = await lab.open(context);
  await openLog(page, options);
  await synced(page);
  return page;
}

/** The person comes back to the tab, which looks at the server at once. */
export function look(page: Page): Promise<void> {
  return page.evaluate(() => {
    document.dispatchEvent(new Event("visibilitychange"));
  });
}

/** Waits until nothing is left to send or fetch. */
export async function synced(page: Page): Promise<void> {
  await look(page);
  await expect
    .poll(() => status(page), { message: "nothing pending and live" })
    .toMatchObject({ phase: "live", pending: 0 });
}

/** Cuts the server off and waits until the pages have noticed. */
export async function goOffline(lab: Lab, ...pages: readonly Page[]): Promise<void> {
  lab.cut(true);
  for (const page of pages) {
    await expect.poll(() => status(page)).toMatchObject({ phase: "offline" });
  }
}

export function status(page: Page) {
  return page.evaluate(() => window.lab.status());
}

/** Appends commits of one event each; gives their ids when they are durable. */
export function add(page: Page, key: string, count = 1): Promise<readonly string[]> {
  return page.evaluate(({ key, count }) => window.lab.add(key, count), { key, count });
}

export function rows(page: Page): Promise<readonly CounterRow[]> {
  return page.evaluate(() => window.lab.rows());
}

export function parked(page: Page): Promise<readonly ParkedCommit[]> {
  return page.evaluate(() => window.lab.log.parked.getSnapshot());
}

/** The rows of streams that `Lab.add` has written so many commits to. */
export function rowsOf(counts: { readonly [key: string]: number }): readonly CounterRow[] {
  return Object.entries(counts).map(([key, version]) => {
    let state = { count: 0, sum: 0 };
    for (let i = 1; i <= version; i += 1) {
      state = fold(state, { tag: `${key}-${i}`, part: 1, of: 1 });
    }
    return { key, version, ...state };
  });
}
