/** The benchmark page on very little data: that it runs, checks its results and cleans up; never how fast anything is. */
import { expect, test } from "../support/demo.ts";

test("a visitor runs the benchmark and sees a figure in every row", async ({ tide, page }) => {
  await page.goto(tide.url("/bench/"));
  await page.getByRole("combobox", { name: "Events" }).selectOption("300");
  await page.getByText("Who and what").click();
  const libraries = page.getByRole("group", { name: "Libraries" });
  await libraries.getByRole("button", { name: "None" }).click();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(page.getByText("Done.")).toBeVisible({ timeout: 90_000 });

  const rows = page.getByTestId("figure-row");
  await expect(rows).toHaveCount(11);
  await expect(page.getByText("Wrong result")).toHaveCount(0);
  for (const figure of [
    "append",
    "told",
    "burst",
    "import",
    "open",
    "snapshot",
    "history",
    "tabs",
  ]) {
    const value = page.locator(`[data-figure=${figure}] td`).first();
    await expect(value, figure).toHaveText(/^[\d,.]+ /);
  }
  await expect(page.getByText(/300 (real|invented) loan events/)).toBeVisible();
  const left = await page.evaluate(async () => (await indexedDB.databases()).length);
  expect(left, "databases left behind").toBe(0);
});

test("a run can be stopped, and nothing stays behind", async ({ tide, page }) => {
  await page.goto(tide.url("/bench/"));
  await page.getByRole("combobox", { name: "Events" }).selectOption("3000");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(page.getByRole("progressbar")).toBeVisible();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("Stopped.")).toBeVisible({ timeout: 60_000 });
  const left = await page.evaluate(async () => (await indexedDB.databases()).length);
  expect(left, "databases left behind").toBe(0);
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("nothing is wider than the screen, and nothing is loaded before a run", async ({
    tide,
    page,
  }) => {
    const scripts: string[] = [];
    page.on("request", (request) => {
      if (request.resourceType() === "script") scripts.push(request.url());
    });
    await page.goto(tide.url("/bench/"));
    await expect(page.getByRole("button", { name: "Run", exact: true })).toBeVisible();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBeLessThanOrEqual(390);
    expect(scripts.filter((url) => /dexie|rxdb|automerge|yjs|tidelog/.test(url))).toEqual([]);
  });
});
