/** The storage panel of the demos, and the loan desk as of any event. */
import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { expect, test } from "../support/demo.ts";
import { eventsOf } from "../support/server-log.ts";
import { TideServer } from "../support/tide-server.ts";
import { TodoPage } from "../support/todo-page.ts";

/** The headline over these events; the rows behind it may come a moment after the count of events. */
function applicationsIn(events: readonly { stream: string }[]) {
  const streams = new Set(events.map(({ stream }) => stream));
  return `${new Intl.NumberFormat("en-US").format(streams.size)} applications`;
}

async function openPanel(page: Page) {
  await page.getByText("Storage", { exact: true }).click();
  const panel = page.getByTestId("storage");
  await expect(panel.getByTestId("storage-persisted")).toBeVisible();
  return panel;
}

test("the panel counts what is here, checks it, and tells what only this device has", async ({
  tide,
  context,
}) => {
  const todos = await TodoPage.open(context, tide);
  await todos.add("Milk", "Bread");
  await todos.synced();
  const panel = await openPanel(todos.page);
  await expect(panel.getByTestId("storage-events")).toHaveText("2");
  await expect(panel.getByTestId("storage-bytes")).toHaveText(/ bytes in \d frames?/);
  await expect(panel.getByTestId("storage-quota")).toContainText(" of ");
  await panel.getByRole("button", { name: "Check every event" }).click();
  await expect(panel.getByTestId("storage-task")).toHaveText(
    "2 events: every checksum and hash is right",
  );
  await panel.getByRole("button", { name: "Build the page anew" }).click();
  await expect(panel.getByTestId("storage-task")).toHaveText("The list is built anew from the log");
  await panel.getByRole("button", { name: "Tidy up" }).click();
  await expect(panel.getByTestId("storage-task")).toContainText("a snapshot is saved");

  const alone = panel.getByRole("button", { name: "Export what only this device has" });
  await expect(alone).toHaveCount(0);
  await tide.stop();
  await todos.offline();
  await todos.add("Butter");
  const download = todos.page.waitForEvent("download");
  await alone.click();
  const lines = (await readFile(await (await download).path())).toString().trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { type: "todo.added", data: { title: "Butter" } },
  ]);
  await expect(todos.titles).toHaveText(["Milk", "Bread", "Butter"]);
});

test("a file that one browser saves is imported by another one, once", async ({
  tide,
  context,
  newBrowser,
}) => {
  const todos = await TodoPage.open(context, tide, { user: "ann" });
  await todos.add("Milk", "Bread");
  await todos.synced();
  const panel = await openPanel(todos.page);
  for (const [button, name] of [
    ["Export as text", "todos.ndjson"],
    ["Export as frames", "todos.frames"],
  ] as const) {
    const download = todos.page.waitForEvent("download");
    await panel.getByRole("button", { name: button }).click();
    expect((await download).suggestedFilename()).toBe(name);
    const file = await readFile(await (await download).path());
    await expect(panel.getByTestId("storage-task")).toContainText(`${name}: `);

    const server = await TideServer.create();
    try {
      await server.start();
      const other = await TodoPage.open(await newBrowser(), server);
      const theirs = await openPanel(other.page);
      const upload = { name, mimeType: "application/octet-stream", buffer: file };
      const picker = theirs.getByLabel("File to import");
      await picker.setInputFiles(upload);
      await expect(theirs.getByTestId("storage-task")).toHaveText("2 events imported");
      await expect(other.titles).toHaveText(["Milk", "Bread"]);
      await other.synced();
      await picker.setInputFiles(upload);
      await expect(theirs.getByTestId("storage-task")).toHaveText(
        /^0 events imported, \d were here already$/,
      );
      expect(await eventsOf(server, "todos")).toHaveLength(2);
    } finally {
      await server.dispose();
    }
  }
});

test("a file that is none is refused in words", async ({ tide, context }) => {
  const todos = await TodoPage.open(context, tide);
  await todos.synced();
  const panel = await openPanel(todos.page);
  await panel
    .getByLabel("File to import")
    .setInputFiles({ name: "x.ndjson", mimeType: "text/plain", buffer: Buffer.from("hello\n") });
  await expect(panel.getByTestId("storage-task").getByRole("alert")).toContainText("line 1");
});

test.describe("the loan desk", () => {
  const EVENTS = 30_000;
  const test = demoWithLoans(EVENTS);

  test("is shown as of any event, and as of now again", async ({ desk, page }) => {
    await page.goto(desk.url("/loans/"));
    await expect(page.getByText("30,000 events on this device")).toBeVisible();
    const stored = await eventsOf(desk, "loans");
    const applications = page.getByTestId("application-count");
    await expect(applications).toHaveText(applicationsIn(stored));
    const slider = page.getByRole("slider", { name: "Show the desk as of" });
    await slider.fill("1000");
    await expect(page.locator(".desk")).toHaveAttribute("data-as-of", "1000");
    await expect(slider).toHaveAttribute("aria-valuetext", "event 1,000 of 30,000");
    await expect(applications).toHaveText(applicationsIn(stored.slice(0, 1_000)));

    const key = stored[0]?.stream.replace("application/", "") ?? "";
    await page.getByLabel("Search applications").fill(key);
    await page.getByTestId("application-row").first().click();
    const history = stored.slice(0, 1_000).filter(({ stream }) => stream === stored[0]?.stream);
    await expect(page.getByTestId("history-row")).toHaveCount(history.length);
    await page.getByRole("button", { name: "Now" }).click();
    await expect(page.locator(".desk")).toHaveAttribute("data-as-of", "now");
    await expect(applications).toHaveText(applicationsIn(stored));
  });

  test("keeps less when asked to, says what is missing, and fetches histories", async ({
    desk,
    page,
  }) => {
    await page.goto(desk.url("/loans/"));
    await expect(page.getByText("30,000 events on this device")).toBeVisible();
    const stored = await eventsOf(desk, "loans");
    const applications = applicationsIn(stored);
    await expect(page.getByTestId("application-count")).toHaveText(applications);
    let panel = await openPanel(page);
    await panel.getByLabel("Keep on this device").selectOption("1000");
    await page.waitForLoadState();
    await expect(page.locator("[role=status][data-phase]")).toHaveText("Live");
    panel = await openPanel(page);
    await panel.getByRole("button", { name: "Tidy up" }).click();
    await expect(panel.getByTestId("storage-task")).toContainText("a snapshot is saved");
    await panel.getByRole("button", { name: "Tidy up" }).click();
    await expect(panel.getByTestId("storage-gap")).toContainText("events: 1 to ");
    await expect(page.getByTestId("application-count")).toHaveText(applications);

    const [first] = stored;
    const key = first?.stream.replace("application/", "") ?? "";
    await page.getByLabel("Search applications").fill(key);
    await page.getByTestId("application-row").first().click();
    await expect(page.getByTestId("history-row").first()).toHaveAttribute(
      "data-type",
      first?.type ?? "",
    );
  });

  test("work that takes a while can be cancelled", async ({ desk, page }) => {
    await page.goto(desk.url("/loans/"));
    await expect(page.getByText("30,000 events on this device")).toBeVisible();
    const panel = await openPanel(page);
    // A file without an end: only the person ends it.
    await page.evaluate(() => {
      const log = window.tidelog as unknown as { import: (...args: unknown[]) => unknown };
      const real = log.import.bind(log);
      log.import = (_file, options) =>
        real(new ReadableStream({ pull: () => new Promise(() => undefined) }), options);
    });
    await panel
      .getByLabel("File to import")
      .setInputFiles({ name: "endless.ndjson", mimeType: "text/plain", buffer: Buffer.from("\n") });
    await expect(panel.getByRole("progressbar")).toBeVisible();
    await expect(panel.getByRole("button", { name: "Export as text" })).toBeDisabled();
    await panel.getByRole("button", { name: "Cancel" }).click();
    await expect(panel.getByTestId("storage-task")).toHaveText(
      "Importing endless.ndjson: cancelled",
    );
  });
});

/** One import of invented loans for all tests of a worker. */
function demoWithLoans(events: number) {
  return test.extend<object, { desk: TideServer }>({
    desk: [
      // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs
      async ({}, use) => {
        const server = await TideServer.create();
        try {
          await server.run("import", ["--log", "loans", "--generate", String(events)]);
          await server.start();
          await use(server);
        } finally {
          await server.dispose();
        }
      },
      { scope: "worker" },
    ],
  });
}
