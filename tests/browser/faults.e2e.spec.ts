/** What browsers and people do to a page's storage and to the page itself. */
import type { Page } from "@playwright/test";
import { expect, openLog, rowsOf, synced, test, URL } from "../support/lab-test.ts";
import { OwnBrowser } from "../support/own-browser.ts";
import { eventsOf } from "../support/server-log.ts";

const rows = (page: Page) => page.evaluate(() => window.lab.rows());
const add = (page: Page, key: string, count = 1) =>
  page.evaluate(({ key, count }) => window.lab.add(key, count), { key, count });

test.describe("a full disk", () => {
  test("fails the append by name, keeps everything readable, and is over when there is room", async ({
    lab,
    context,
  }) => {
    const page = await lab.open(context);
    const session = await context.newCDPSession(page);
    const { origin } = lab;
    // Chromium asks for the quota once and then spends what it was told: it has to be small from the start.
    await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 2_000_000 });
    await openLog(page);
    await add(page, "a", 3);

    const full = await page.evaluate(async () => {
      const { lab } = window;
      const filler = Array.from({ length: 800_000 }, () => Math.random().toString(36)[2]).join("");
      for (let i = 1; ; i += 1) {
        const receipt = lab.log.counter(`full-${i}`).count({ tag: "", part: 1, of: 1, filler });
        const shown = lab.rows().length;
        const code = await lab.codeOf(() => receipt.durable);
        if (code === undefined) continue;
        const { state } = await receipt.settled;
        const after = lab.rows().filter(({ key }) => !key.startsWith("full"));
        return { code, state, gone: shown - lab.rows().length, after };
      }
    });
    expect(full).toMatchObject({ code: "quota_exceeded", state: "failed", gone: 1 });
    expect(full.after).toEqual(rowsOf({ a: 3 }));
    expect(await page.evaluate(() => window.lab.log.counter("a").history())).toHaveLength(3);

    await session.send("Storage.overrideQuotaForOrigin", { origin });
    await add(page, "b", 2);
    await page.reload();
    await openLog(page);
    expect(await rows(page)).toEqual(expect.arrayContaining([...rowsOf({ a: 3, b: 2 })]));
  });
});

test.describe("a database that is not what it was", () => {
  test("deleted while the page was away: everything is pulled again", async ({ lab, context }) => {
    const page = await lab.open(context);
    await openLog(page, { url: URL });
    await add(page, "a", 3);
    await synced(page);
    await page.evaluate(() => window.lab.log.close());
    await page.evaluate(() => window.lab.disk.wipe());
    await page.reload();
    await openLog(page, { url: URL });
    await synced(page);
    expect(await rows(page)).toEqual(rowsOf({ a: 3 }));
  });

  test("deleted while it is open: the log says so and starts again from the server", async ({
    lab,
    tide,
    context,
  }) => {
    const page = await lab.open(context);
    await openLog(page, { url: URL });
    await add(page, "a", 3);
    await synced(page);
    const other = await lab.open(context);
    await other.evaluate(() => window.lab.disk.wipe());
    await add(page, "a", 2);
    await synced(page);
    expect(await page.evaluate(() => window.lab.status().reset)).toBeDefined();
    expect(await rows(page)).toEqual(rowsOf({ a: 5 }));
    expect(await eventsOf(tide, "lab")).toHaveLength(5);
  });

  test("put back to an older copy: what was confirmed since comes again, once", async ({
    lab,
    tide,
    context,
  }) => {
    const page = await lab.open(context);
    await openLog(page, { url: URL });
    await add(page, "a", 3);
    await synced(page);
    lab.cut(true);
    await add(page, "a", 1);
    // It has three confirmed events and one that is still to be sent.
    const older = await page.evaluate(() => window.lab.disk.dump());
    lab.cut(false);
    await synced(page);
    await add(page, "a", 2);
    await synced(page);
    await page.evaluate(() => window.lab.log.close());
    await page.evaluate((older) => window.lab.disk.restore(older), older);

    await page.reload();
    await openLog(page, { url: URL });
    await synced(page);
    expect(await rows(page)).toEqual(rowsOf({ a: 6 }));
    await add(page, "a", 1);
    await synced(page);
    expect(await rows(page)).toEqual(rowsOf({ a: 7 }));
    expect(await eventsOf(tide, "lab")).toHaveLength(7);
  });

  test("copied to another device: both go on as devices of their own", async ({
    lab,
    tide,
    context,
    newBrowser,
  }) => {
    const page = await lab.open(context);
    await openLog(page, { url: URL });
    await add(page, "a", 2);
    await synced(page);
    lab.cut(true);
    await add(page, "a", 1);
    const copy = await page.evaluate(() => window.lab.disk.dump());

    const twin = await lab.open(await newBrowser());
    await openLog(twin, { url: URL });
    await twin.evaluate(() => window.lab.log.close());
    await twin.evaluate((copy) => window.lab.disk.restore(copy), copy);
    await twin.reload();
    await openLog(twin, { url: URL });
    expect(await rows(twin)).toEqual(rowsOf({ a: 3 }));
    await add(page, "b", 2);
    await add(twin, "c", 2);
    lab.cut(false);
    await synced(page);
    await synced(twin);
    await synced(page);
    for (const each of [page, twin]) {
      await expect.poll(() => rows(each)).toEqual(rowsOf({ a: 3, b: 2, c: 2 }));
    }
    expect(await eventsOf(tide, "lab")).toHaveLength(7);
  });
});

test.describe("a page that sleeps", () => {
  test("frozen and thawed: another tab takes over, and afterwards both show everything", async ({
    lab,
    tide,
    context,
  }) => {
    const first = await lab.open(context);
    await openLog(first, { url: URL });
    await add(first, "a", 1);
    await synced(first);
    const second = await lab.open(context);
    await openLog(second, { url: URL });
    const session = await context.newCDPSession(first);
    await session.send("Page.enable");
    await session.send("Page.setWebLifecycleState", { state: "frozen" });

    await add(second, "b", 2);
    await synced(second);
    expect(await eventsOf(tide, "lab")).toHaveLength(3);
    await session.send("Page.setWebLifecycleState", { state: "active" });
    await expect.poll(() => rows(first)).toEqual(rowsOf({ a: 1, b: 2 }));
    await add(first, "a", 1);
    await synced(first);
    await expect.poll(() => rows(second)).toEqual(rowsOf({ a: 2, b: 2 }));
  });

  test("left and come back to: it shows everything and goes on", async ({
    lab,
    tide,
    launchOptions,
  }) => {
    const { executablePath = "", args = [] } = launchOptions;
    // Playwright's own browsers keep no page for the way back.
    const browser = await OwnBrowser.create(executablePath, args);
    try {
      const context = await browser.start();
      const page = await lab.open(context);
      await openLog(page, { url: URL });
      await add(page, "a", 1);
      await synced(page);
      await page.evaluate(() => Object.assign(window, { isTheSame: true }));
      await page.goto("about:blank");
      const other = await lab.open(context);
      await openLog(other, { url: URL });
      await add(other, "b", 2);
      await synced(other);

      await page.goBack();
      await page.waitForFunction(() => window.lab !== undefined);
      const isTheSame = await page.evaluate(() => "isTheSame" in window);
      test.info().annotations.push({ type: "back/forward cache", description: `${isTheSame}` });
      if (!isTheSame) await openLog(page, { url: URL });
      await expect.poll(() => rows(page)).toEqual(rowsOf({ a: 1, b: 2 }));
      await add(page, "a", 1);
      await synced(page);
      expect(await eventsOf(tide, "lab")).toHaveLength(4);
    } finally {
      await browser.dispose();
    }
  });
});

test.describe("a browser without storage", () => {
  for (const [what, stub] of [
    ["has no indexedDB", () => Object.defineProperty(window, "indexedDB", { value: undefined })],
    [
      "refuses to open a database",
      () => {
        IDBFactory.prototype.open = () => {
          throw new DOMException("not in this mode", "SecurityError");
        };
      },
    ],
  ] as const) {
    test(`${what}: ready() and the status say so by name`, async ({ lab, context }) => {
      const page = await context.newPage();
      await page.addInitScript(stub);
      await lab.goto(page);
      const said = await page.evaluate(async () => {
        const { lab } = window;
        lab.make();
        const code = await lab.codeOf(() => lab.log.ready());
        return { code, status: lab.status() };
      });
      expect(said.code).toBe("storage_unavailable");
      expect(said.status).toMatchObject({
        phase: "error",
        error: { code: "storage_unavailable" },
      });
    });
  }

  test("TodoMVC says so on the page", async ({ tide, context }) => {
    const page = await context.newPage();
    await page.addInitScript(() => {
      Object.defineProperty(window, "indexedDB", { value: undefined });
    });
    await page.goto(tide.url("/todomvc/"));
    const problem = page.getByRole("alert").filter({ hasText: "The log could not be opened" });
    await expect(problem).toContainText("storage_unavailable");
    await expect(problem.getByRole("button", { name: "Reload" })).toBeVisible();
    await expect(page.locator("[role=status][data-phase]")).toHaveAttribute("data-phase", "error");
  });
});
