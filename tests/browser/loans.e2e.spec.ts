/**
 * The loan desk on real data: the first 30,000 events, all 262,200 with `TIDELOG_FULL=1`, or invented ones of
 * the same shape where the real ones are absent.
 */
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { test as base, expect } from "../support/demo.ts";
import { hasRealLoans, type LoanFile, REAL_LOANS, readLoans } from "../support/loan-file.ts";
import { TideServer } from "../support/tide-server.ts";

const FULL = process.env.TIDELOG_FULL === "1";
const SOME = 30_000;
/** A whole pull and replay of a quarter of a million events, on a machine that does other things too. */
const LONG = { timeout: FULL ? 300_000 : 60_000 };
const COUNT = new Intl.NumberFormat("en");

interface Desk {
  readonly server: TideServer;
  readonly file: LoanFile;
}

/** One import for all tests of this file: what they change is in their own browsers. */
const test = base.extend<object, { desk: Desk }>({
  desk: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs
    async ({}, use) => {
      const server = await TideServer.create();
      try {
        const file = await importLoans(server);
        await server.start();
        await use({ server, file });
      } finally {
        await server.dispose();
      }
    },
    { scope: "worker", timeout: 300_000 },
  ],
});

test.describe.configure({ mode: "default", timeout: FULL ? 900_000 : 120_000 });

async function importLoans(server: TideServer): Promise<LoanFile> {
  if (hasRealLoans()) {
    const limit = FULL ? [] : ["--limit", String(SOME)];
    await server.run("import", ["--log", "loans", ...limit, REAL_LOANS]);
    return readLoans(REAL_LOANS, FULL ? undefined : SOME);
  }
  await server.run("import", ["--log", "loans", "--generate", String(SOME)]);
  const exported = join(server.database, "..", "loans.ndjson");
  await server.run("export", ["--log", "loans", "--output", exported]);
  return readLoans(exported);
}

/** Opens the desk and waits until every event is on this device. */
async function openDesk(page: Page, { server, file }: Desk): Promise<void> {
  await page.goto(server.url("/loans/"));
  await allHere(page, file);
}

async function allHere(page: Page, file: LoanFile): Promise<void> {
  await expect(page.getByText(`${COUNT.format(file.events)} events on this device`)).toBeVisible(
    LONG,
  );
  await showsCounts(page, file);
}

/** The numbers of the desk are those of the file. */
async function showsCounts(page: Page, file: LoanFile): Promise<void> {
  await expect(page.getByTestId("application-count")).toHaveText(
    `${COUNT.format(file.applications)} applications`,
    LONG,
  );
  await expect(page.getByTestId("approved-count")).toHaveText(
    `${COUNT.format(file.approved)} approved`,
  );
  const counts = page.getByTestId("status-counts").locator("[data-status]");
  await expect(counts).toHaveCount(file.byStatus.size);
  for (const [status, count] of file.byStatus) {
    await expect(
      counts.and(page.locator(`[data-status="${status}"]`)).locator(".count"),
    ).toHaveText(COUNT.format(count));
  }
}

/** Finds an application by its id and shows its history. */
async function choose(page: Page, key: string): Promise<void> {
  await page.getByLabel("Search applications").fill(key);
  const rows = page.getByTestId("application-row");
  await expect(rows).toHaveCount(1);
  await expect(rows).toHaveAttribute("data-key", key);
  await rows.click();
}

async function showsHistory(page: Page, types: readonly string[]): Promise<void> {
  const rows = page.getByTestId("history-row");
  await expect(rows).toHaveCount(types.length, LONG);
  const shown = await rows.evaluateAll((all) =>
    all.map((row) => [row.querySelector("td")?.textContent, row.getAttribute("data-type")]),
  );
  expect(shown).toEqual(types.map((type, i) => [String(i + 1), type]));
}

/** The application to which most has happened. */
function busiest({ histories }: LoanFile): readonly [key: string, types: readonly string[]] {
  const all = [...histories];
  return all.reduce((most, each) => (each[1].length > most[1].length ? each : most));
}

test("all events arrive, with progress on screen, and the counts are those of the file", async ({
  desk,
  page,
}) => {
  await page.addInitScript(() => {
    const seen: number[] = [];
    Object.assign(window, { progressSeen: seen });
    const look = () => {
      const bar = document.querySelector<HTMLProgressElement>("[data-testid=progress]");
      if (bar?.hasAttribute("value")) seen.push(bar.value / bar.max);
      requestAnimationFrame(look);
    };
    look();
  });
  await openDesk(page, desk);
  await expect(page.getByTestId("progress")).toHaveCount(0);
  await expect(page.getByRole("status")).toHaveText("Live");
  const seen = await page.evaluate(
    () => (window as unknown as { progressSeen: number[] }).progressSeen,
  );
  expect(seen.some((share) => share > 0 && share < 1)).toBe(true);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  if (FULL && hasRealLoans()) {
    await expect(page.getByTestId("application-count")).toHaveText("13,087 applications");
    await expect(page.getByTestId("approved-count")).toHaveText("2,246 approved");
  }
});

test("an application is found by its id, and its history is whole and in order", async ({
  desk,
  page,
}) => {
  await openDesk(page, desk);
  const [key, types] = busiest(desk.file);
  await choose(page, key);
  await showsHistory(page, types);
  await expect(page.getByRole("heading", { name: `Application ${key}` })).toBeFocused();

  await page.getByLabel("Search applications").fill("no such application");
  await expect(page.getByText("No application matches.")).toBeVisible();
  await page.getByLabel("Search applications").fill("");
  const [status, count] = [...desk.file.byStatus][0] ?? ["", 0];
  await page.locator(`[data-status="${status}"]`).click();
  await expect(page.getByText(`${COUNT.format(count)} matches`)).toBeVisible();
});

test("only the rows in sight exist", async ({ desk, page }) => {
  await openDesk(page, desk);
  const rows = page.getByTestId("application-row");
  expect(await rows.count()).toBeLessThan(100);
  const list = page.getByRole("listbox");
  await list.focus();
  await list.press("End");
  await expect(
    page.locator(`[data-testid=application-row][aria-posinset="${desk.file.applications}"]`),
  ).toBeVisible();
  expect(await rows.count()).toBeLessThan(100);
});

test("a reload with the server stopped shows the same", async ({ desk, page }) => {
  await openDesk(page, desk);
  await expect(page.locator("html")).toHaveAttribute("data-offline", "ready");
  await desk.server.stop();
  try {
    await page.reload();
    await allHere(page, desk.file);
    await expect(page.getByRole("status")).toHaveAttribute("data-phase", "offline");
    const [key, types] = busiest(desk.file);
    await choose(page, key);
    await showsHistory(page, types);
  } finally {
    await desk.server.start();
  }
});

test("an event that another backend appends appears at once", async ({ tide, page }) => {
  await page.goto(tide.url("/loans/"));
  await expect(page.getByRole("status")).toHaveText("Live");
  const appended = await page.request.post(tide.url("/v1/logs/loans/streams/application%2F7"), {
    headers: { "if-none-match": "*" },
    data: {
      type: "A_SUBMITTED.complete",
      data: { amountRequested: 5000, resource: `<img src=x onerror="document.title='owned'">` },
    },
  });
  expect(appended.status()).toBe(201);
  await expect(page.getByTestId("application-count")).toHaveText("1 application");
  await choose(page, "7");
  // Markup in a payload is text.
  await expect(page.getByTestId("history-row")).toContainText("<img src=x onerror=");
  await expect(page.getByRole("table").locator("img")).toHaveCount(0);
  await expect(page).toHaveTitle(/Tidelog/);
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("list and history fit the screen", async ({ desk, page }) => {
    const widthOf = () => page.evaluate(() => document.documentElement.scrollWidth);
    await openDesk(page, desk);
    expect(await widthOf()).toBeLessThanOrEqual(390);
    const [key] = busiest(desk.file);
    await choose(page, key);
    await expect(page.getByTestId("history-row").first()).toBeVisible();
    expect(await widthOf()).toBeLessThanOrEqual(390);
    await page.getByRole("button", { name: "Back to the list" }).click();
    await expect(page.getByTestId("application-row")).toBeVisible();
  });
});
