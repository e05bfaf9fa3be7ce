/** The test of the suites that make logs of their own: `tide`, a server with the log `lab`, and `lab` before it. */
import type { Page } from "@playwright/test";
import { fold } from "../lab/counter.ts";
import type { CounterRow, LabOptions } from "../lab/lab.ts";
import { test as demo, expect } from "./demo.ts";
import { Lab } from "./lab.ts";

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

/** Makes the page's log and waits until it is open. */
export async function openLog(page: Page, options: LabOptions = {}): Promise<void> {
  await page.evaluate(async (options) => {
    window.lab.make(options);
    await window.lab.log.ready();
  }, options);
}

/** Waits until nothing is left to send or fetch. */
export async function synced(page: Page): Promise<void> {
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await expect
    .poll(() => page.evaluate(() => window.lab.status()), { message: "nothing pending and live" })
    .toMatchObject({ phase: "live", pending: 0 });
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
