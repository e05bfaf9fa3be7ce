/** Several tabs of one browser share one database, and each may append at any time. */
import { expect, test } from "../support/demo.ts";
import { eventsOf } from "../support/server-log.ts";
import { converged, TodoPage } from "../support/todo-page.ts";

const EACH = 30;

/** Appends renames to one stream as fast as it goes; resolves when all are durable. */
function renameOften(tab: TodoPage, key: string, who: string): Promise<void> {
  return tab.page.evaluate(
    async ({ key, who, count }) => {
      const receipts = [];
      for (let i = 1; i <= count; i += 1) {
        const data = { title: `${who} ${i}` };
        receipts.push(window.tidelog.todo(key).append([{ type: "todo.renamed", data }]));
        // A turn of the event loop, so that both tabs are in the middle of it.
        await new Promise((next) => setTimeout(next));
      }
      for (const receipt of receipts) await receipt.durable;
    },
    { key, who, count: EACH },
  );
}

test("two tabs append to one stream at once: versions 1 to n, the same in both and on the server", async ({
  tide,
  context,
}) => {
  const one = await TodoPage.open(context, tide);
  const key = await one.addDurably("Bread");
  const two = await TodoPage.open(context, tide);
  await expect(two.titles).toHaveText(["Bread"]);

  await Promise.all([renameOften(one, key, "one"), renameOften(two, key, "two")]);
  await one.synced();
  await two.synced();

  const total = 1 + 2 * EACH;
  const versions = Array.from({ length: total }, (_, i) => i + 1);
  const stored = await eventsOf(tide, "todos");
  expect(stored.map(({ version }) => version)).toEqual(versions);
  expect(new Set(stored.map(({ commitId }) => commitId)).size).toBe(total);
  for (const tab of [one, two]) {
    await expect.poll(async () => (await tab.historyOf(key)).length).toBe(total);
    const history = await tab.historyOf(key);
    expect(history.map(({ version }) => version)).toEqual(versions);
    expect(history.map(({ commitId }) => commitId)).toEqual(stored.map(({ commitId }) => commitId));
    for (const who of ["one", "two"]) {
      const own = history.map(({ data }) => (data as { title: string }).title);
      // In the order in which that tab made them.
      expect(own.filter((title) => title.startsWith(who))).toEqual(
        Array.from({ length: EACH }, (_, i) => `${who} ${i + 1}`),
      );
    }
  }
  const last = stored.map(({ data }) => (data as { title: string }).title).at(-1);
  await converged([one, two], [String(last)]);
});

test("two tabs append to one stream at once with the server stopped, and each shows the other's", async ({
  tide,
  context,
}) => {
  const one = await TodoPage.open(context, tide);
  const two = await TodoPage.open(context, tide);
  const key = await one.addDurably("Bread");
  await one.synced();
  await tide.stop();
  await one.offline();

  await Promise.all([renameOften(one, key, "one"), renameOften(two, key, "two")]);
  const total = 1 + 2 * EACH;
  for (const tab of [one, two]) {
    await expect.poll(async () => (await tab.historyOf(key)).length).toBe(total);
    const history = await tab.historyOf(key);
    expect(history.map(({ version }) => version)).toEqual(
      Array.from({ length: total }, (_, i) => i + 1),
    );
  }
  expect(await two.historyOf(key)).toEqual(await one.historyOf(key));
  expect((await one.status()).pending).toBe(2 * EACH);

  await tide.start();
  await one.retryNow();
  await two.retryNow();
  await one.synced();
  await two.synced();
  expect((await eventsOf(tide, "todos")).length).toBe(total);
});

test("what one tab adds, the other shows without the server", async ({ tide, context }) => {
  const one = await TodoPage.open(context, tide);
  const two = await TodoPage.open(context, tide);
  await two.synced();
  await tide.stop();
  await one.offline();
  await one.add("Bread");
  await expect(two.titles).toHaveText(["Bread"]);
  await two.toggle("Bread");
  await expect(one.item("Bread").getByLabel("Toggle Todo")).toBeChecked();
});

test("the tab that talks to the server is closed: another takes over", async ({
  tide,
  context,
  newBrowser,
}) => {
  const one = await TodoPage.open(context, tide);
  await one.synced();
  const two = await TodoPage.open(context, tide);
  await two.synced();
  expect((await one.status()).leader).toBe(true);
  expect((await two.status()).leader).toBe(false);

  await two.add("Before");
  await converged([one, two], ["Before"]);
  await one.page.close();
  await two.add("After");
  await expect.poll(async () => (await two.status()).leader).toBe(true);
  await two.synced();

  const elsewhere = await TodoPage.open(await newBrowser(), tide);
  await converged([two, elsewhere], ["Before", "After"]);
});

test("the tab that talks to the server dies: another takes over what it had not sent", async ({
  tide,
  context,
}) => {
  const one = await TodoPage.open(context, tide);
  await one.synced();
  const two = await TodoPage.open(context, tide);
  await two.synced();
  await tide.stop();
  await one.offline();
  await one.addDurably("Bread");
  const crashed = one.page.waitForEvent("crash");
  const session = await context.newCDPSession(one.page);
  session.send("Page.crash").catch(() => undefined);
  await crashed;

  await expect.poll(async () => (await two.status()).leader).toBe(true);
  await expect(two.titles).toHaveText(["Bread"]);
  await tide.start();
  await two.retryNow();
  await two.synced();
  expect(await eventsOf(tide, "todos")).toHaveLength(1);
});
