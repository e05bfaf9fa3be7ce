/** The network loses answers, or is not the network at all. */
import { test as base, expect } from "../support/demo.ts";
import { FaultyProxy } from "../support/faulty-proxy.ts";
import { eventsOf } from "../support/server-log.ts";
import { expectStatuses } from "../support/statuses.ts";
import { TodoPage } from "../support/todo-page.ts";

const test = base.extend<{ network: FaultyProxy }>({
  network: async ({ tide }, use) => {
    const network = await FaultyProxy.before(tide.origin);
    await use(network);
    await network.close();
  },
});

/** Lines were cut, and that is all the status may say of it. */
const PARTED = /opening (connecting )?live(( (offline|catching-up))+ live)*/;

/** What the server said about the commits of a push. */
function resultsOf(answer: string) {
  return (JSON.parse(answer) as { results: readonly Record<string, unknown>[] }).results;
}

test("the answer to a push is lost after the server stored it: the retry gets the same receipt", async ({
  tide,
  network,
  context,
}) => {
  const todos = await TodoPage.open(context, network);
  await todos.synced();
  network.cutPulls(true);
  network.loseAnswersToPushes(2);
  const settled = todos.page.evaluate(async () => {
    const receipt = window.tidelog.todo("bread").add({ title: "Bread" });
    return { id: receipt.id, ...(await receipt.settled) };
  });

  await expect.poll(() => network.pushes.filter(({ lost }) => !lost).length).toBeGreaterThan(0);
  network.cutPulls(false);
  const [first, second, third] = network.pushes.map(({ answer }) => resultsOf(answer)[0]);
  expect(network.pushes.map(({ lost }) => lost).slice(0, 3)).toEqual([true, true, false]);
  expect(first).toMatchObject({ verdict: "accepted", positions: { first: 1, last: 1 } });
  expect(second).toEqual({ ...first, verdict: "duplicate" });
  expect(third).toEqual(second);

  expect(await settled).toEqual({ id: first?.id, state: "confirmed", position: 1 });
  await todos.synced();
  expect(await eventsOf(tide, "todos")).toMatchObject([
    { commitId: first?.id, position: 1, version: 1, type: "todo.added" },
  ]);
  await expect(todos.items).toHaveAttribute("data-sync", "synced");
  await expectStatuses(todos.page, PARTED);
});

test("a whole batch whose answer is lost is stored once, in the order it was made", async ({
  tide,
  network,
  context,
}) => {
  const todos = await TodoPage.open(context, network);
  await todos.synced();
  const titles = Array.from({ length: 40 }, (_, i) => `Todo ${i + 1}`);
  network.loseAnswersToPushes(3);
  await todos.page.evaluate(async (titles) => {
    const receipts = titles.map((title, i) =>
      window.tidelog.todo(`todo-${100 + i}`).add({ title }),
    );
    for (const receipt of receipts) await receipt.settled;
  }, titles);
  await todos.synced();
  const stored = await eventsOf(tide, "todos");
  expect(stored.map(({ data }) => (data as { title: string }).title)).toEqual(titles);
  await expect(todos.titles).toHaveText(titles);
  await expectStatuses(todos.page, PARTED);
});

test("a captive portal answers everything with 200: nothing is parked, and it recovers", async ({
  tide,
  network,
  context,
}) => {
  const todos = await TodoPage.open(context, network);
  await todos.add("Before");
  await todos.synced();

  network.capture("<!doctype html><title>Free Wi-Fi</title><p>Please sign in.</p>");
  await todos.add("Behind the portal");
  await expect.poll(() => network.portalHits).toBeGreaterThan(1);
  await expect(todos.statusLine).toHaveAttribute("data-phase", /^(error|offline)$/);
  await expect(todos.statusLine).toContainText("1 pending");
  expect((await todos.status()).error?.code).toBe("bad_answer");
  await expect(todos.titles).toHaveText(["Before", "Behind the portal"]);
  await expect(todos.conflicts).toHaveCount(0);

  network.release();
  await todos.retryNow();
  await todos.synced();
  expect(await todos.parked()).toEqual([]);
  expect((await eventsOf(tide, "todos")).map(({ position }) => position)).toEqual([1, 2]);
  await expectStatuses(
    todos.page,
    /opening (connecting )?live( (offline|error|catching-up))+ live/,
  );
});
