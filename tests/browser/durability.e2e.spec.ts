/** What `durable` promised outlives a reload and the death of the tab. */
import type { BrowserContext, Page } from "@playwright/test";
import { expect, test } from "../support/demo.ts";
import { OwnBrowser } from "../support/own-browser.ts";
import { eventsOf } from "../support/server-log.ts";
import type { TideServer } from "../support/tide-server.ts";
import { TodoPage } from "../support/todo-page.ts";

/** A page that works without the server, and a server that is stopped: only this device has what follows. */
async function alone(tide: TideServer, context: BrowserContext): Promise<TodoPage> {
  const todos = await TodoPage.open(context, tide);
  await todos.synced();
  await todos.installed();
  await tide.stop();
  await todos.offline();
  return todos;
}

/** Adds todos without end, each told to `witness` as soon as it is durable and before the next. */
function appendWithoutEnd(page: Page): Promise<unknown> {
  return page.evaluate(async () => {
    const told = window as unknown as { witness(key: string): Promise<void> };
    for (let i = 1; ; i += 1) {
      const key = `endless-${i}`;
      await window.tidelog.todo(key).add({ title: `Todo ${i}` }).durable;
      await told.witness(key);
    }
  });
}

/** Hears of durable todos; `enough` resolves once it heard of so many. */
async function witnessOf(context: BrowserContext, count: number) {
  const heard: string[] = [];
  let done = () => {};
  const enough = new Promise<void>((resolve) => {
    done = resolve;
  });
  await context.exposeFunction("witness", (key: string) => {
    heard.push(key);
    if (heard.length === count) done();
  });
  return { heard, enough };
}

test("a reload right after durable keeps the event", async ({ tide, context }) => {
  const todos = await alone(tide, context);
  const key = await todos.addDurably("Bread");
  await todos.page.reload();
  await todos.ready();
  await expect(todos.titles).toHaveText(["Bread"]);
  await expect(todos.items).toHaveAttribute("data-sync", "pending");
  expect(await todos.historyOf(key)).toHaveLength(1);

  await tide.start();
  await todos.retryNow();
  await todos.synced();
  expect(await eventsOf(tide, "todos")).toHaveLength(1);
});

test("closing the tab right after durable keeps the event", async ({ tide, context }) => {
  const first = await alone(tide, context);
  await first.addDurably("Bread");
  await first.page.close({ runBeforeUnload: false });
  const second = await TodoPage.open(context, tide);
  await expect(second.titles).toHaveText(["Bread"]);
  expect((await second.status()).pending).toBe(1);
});

test("the tab's process dies mid-write: everything that was durable is there, once", async ({
  tide,
  context,
}) => {
  const first = await alone(tide, context);
  const { heard, enough } = await witnessOf(context, 25);
  const writing = appendWithoutEnd(first.page).catch(() => "the tab is gone");
  await enough;
  const crashed = first.page.waitForEvent("crash");
  const session = await context.newCDPSession(first.page);
  // It has no answer: there is nobody left to give it.
  session.send("Page.crash").catch(() => undefined);
  await crashed;
  await first.page.close();
  await writing;
  const promised = [...heard];

  const second = await TodoPage.open(context, tide);
  for (const key of promised) {
    expect(await second.historyOf(key), key).toMatchObject([{ version: 1, type: "todo.added" }]);
  }
  await tide.start();
  await second.retryNow();
  await second.synced();
  const stored = (await eventsOf(tide, "todos")).map(({ stream }) => stream);
  expect(stored).toEqual(expect.arrayContaining(promised.map((key) => `todo/${key}`)));
  expect(new Set(stored).size).toBe(stored.length);
});

test("the whole browser is killed mid-write: everything that was durable is there, once", async ({
  tide,
  launchOptions,
}) => {
  const { executablePath = "", args = [] } = launchOptions;
  const browser = await OwnBrowser.create(executablePath, args);
  try {
    const before = await browser.start();
    const first = await alone(tide, before);
    const { heard, enough } = await witnessOf(before, 25);
    const writing = appendWithoutEnd(first.page).catch(() => "the browser is gone");
    await enough;
    await browser.kill9();
    await writing;
    const promised = [...heard];

    const second = await TodoPage.open(await browser.start(), tide);
    for (const key of promised) {
      expect(await second.historyOf(key), key).toMatchObject([{ version: 1, type: "todo.added" }]);
    }
    await tide.start();
    await second.retryNow();
    await second.synced();
    const stored = (await eventsOf(tide, "todos")).map(({ stream }) => stream);
    expect(stored).toEqual(expect.arrayContaining(promised.map((key) => `todo/${key}`)));
    expect(new Set(stored).size).toBe(stored.length);
  } finally {
    await browser.dispose();
  }
});

test("a receipt can be asked for again after a reload", async ({ tide, context }) => {
  const todos = await alone(tide, context);
  const id = await todos.page.evaluate(async () => {
    const receipt = window.tidelog.todo("bread").add({ title: "Bread" });
    await receipt.durable;
    return receipt.id;
  });
  await todos.page.reload();
  await todos.ready();
  await tide.start();
  await todos.retryNow();
  const settled = todos.page.evaluate((id) => window.tidelog.receipt(id).settled, id);
  expect(await settled).toEqual({ state: "confirmed", position: 1 });
});
