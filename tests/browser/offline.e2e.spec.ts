/** The installed app: after one visit it needs the server only to sync. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "../support/demo.ts";
import { eventsOf } from "../support/server-log.ts";
import { expectStatuses } from "../support/statuses.ts";
import { converged, TodoPage } from "../support/todo-page.ts";

test("TodoMVC opens, takes todos and keeps them with the server stopped, and syncs when it is back", async ({
  tide,
  context,
  newBrowser,
}) => {
  const todos = await TodoPage.open(context, tide);
  await todos.add("Before");
  await todos.synced();
  await todos.installed();
  await tide.stop();

  const fromCache: string[] = [];
  todos.page.on("response", (response) => {
    if (response.fromServiceWorker()) fromCache.push(response.url());
  });
  await todos.page.reload();
  await expect(todos.titles).toHaveText(["Before"]);
  expect(fromCache.filter((url) => url.endsWith(".wasm"))).toHaveLength(1);
  await todos.offline();
  await expect(todos.statusLine).toContainText("Offline");

  await todos.add("While it is away");
  await expect(todos.items.nth(1)).toHaveAttribute("data-sync", "pending");
  await expect(todos.statusLine).toContainText("1 pending");
  await expectStatuses(todos.page, /opening (connecting )?offline/);
  await todos.page.reload();
  await expect(todos.titles).toHaveText(["Before", "While it is away"]);

  await tide.start();
  await todos.retryNow();
  await todos.synced();
  await expect(todos.statusLine).toHaveText("Live");
  await expect(todos.items.nth(1)).toHaveAttribute("data-sync", "synced");
  expect(await eventsOf(tide, "todos")).toHaveLength(2);
  await expectStatuses(todos.page, /opening ((connecting|offline) )*(catching-up )?live/);
  const elsewhere = await TodoPage.open(await newBrowser(), tide);
  await converged([todos, elsewhere], ["Before", "While it is away"]);
});

test("it syncs by itself when the server is back, without anybody touching the page", async ({
  tide,
  context,
}) => {
  const todos = await TodoPage.open(context, tide);
  await todos.synced();
  await tide.stop();
  await todos.offline();
  await todos.add("Bread");
  await tide.start();
  await todos.synced();
  expect(await eventsOf(tide, "todos")).toHaveLength(1);
  await expectStatuses(todos.page, /opening (connecting )?live offline (catching-up )?live/);
});

test("one visit to TodoMVC is enough for the loan desk to open with the server stopped", async ({
  tide,
  context,
}) => {
  const todos = await TodoPage.open(context, tide);
  await todos.installed();
  await tide.stop();
  const { page } = todos;
  await page.goto(tide.url("/loans/"));
  await expect(page.getByRole("heading", { name: "Loan desk" })).toBeVisible();
  await expect(page.getByRole("status")).toHaveText("Offline");
  await page.goto(tide.url("/"));
  await expect(page.getByRole("link", { name: /TodoMVC/ }).first()).toBeVisible();
});

test("a new version of the app waits until it is asked for, and keeps the todos", async ({
  tide,
  context,
}) => {
  const todos = await TodoPage.open(context, tide);
  await todos.add("Bread");
  await todos.synced();
  await todos.installed();

  const folder = await mkdtemp(join(tmpdir(), "tidelog-www-"));
  try {
    await cp(fileURLToPath(new URL("../../www/dist", import.meta.url)), folder, {
      recursive: true,
    });
    const page = join(folder, "todomvc/index.html");
    const worker = join(folder, "sw.js");
    await writeFile(page, (await readFile(page, "utf8")).replace("<title>", "<title>New "));
    // The hash over the build's files names its cache.
    const version = /`[0-9a-f]{16}`/;
    const script = await readFile(worker, "utf8");
    expect(script).toMatch(version);
    await writeFile(worker, script.replace(version, "`0123456789abcdef`"));
    await tide.restart({ www: folder });

    await todos.page.reload();
    await expect(todos.page).not.toHaveTitle(/^New/);
    await todos.page.getByRole("button", { name: "New version: reload" }).click();
    await expect(todos.page).toHaveTitle(/^New/);
    await expect(todos.page.locator("html")).toHaveAttribute("data-offline", "ready");
    await expect(todos.titles).toHaveText(["Bread"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("it can be installed: a manifest with icons that exist", async ({ tide, context }) => {
  const todos = await TodoPage.open(context, tide);
  await todos.installed();
  const session = await context.newCDPSession(todos.page);
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  // The test's browser profile is like a private window, from which nothing can be installed.
  const problems = installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito");
  expect(problems).toEqual([]);

  const href = await todos.page.locator("link[rel=manifest]").getAttribute("href");
  const answer = await todos.page.request.get(tide.url(href ?? ""));
  const manifest = (await answer.json()) as {
    name: string;
    start_url: string;
    display: string;
    icons: readonly { src: string }[];
  };
  expect(manifest).toMatchObject({
    name: expect.stringContaining("Tidelog"),
    display: "standalone",
  });
  expect((await todos.page.request.get(tide.url(manifest.start_url))).ok()).toBe(true);
  for (const { src } of manifest.icons) {
    const icon = await todos.page.request.get(tide.url(src));
    expect(icon.headers()["content-type"], src).toBe("image/png");
  }
});
