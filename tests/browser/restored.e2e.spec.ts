/** The server's database is put back to an older copy, as after a disk has died: what it lost comes from the browsers again. */
import { cp, rm } from "node:fs/promises";
import { expect, test } from "../support/demo.ts";
import { eventsOf, RawWriter } from "../support/server-log.ts";
import { expectStatuses } from "../support/statuses.ts";
import type { TideServer } from "../support/tide-server.ts";
import { converged, TodoPage } from "../support/todo-page.ts";

/** SQLite keeps its newest pages beside the file. */
const PARTS = ["", "-wal", "-shm"];

/** The server went away twice, and the second time it came back with less. */
const WENT_AWAY =
  /opening ((connecting|catching-up) )*live( (offline|connecting|catching-up))*( live( (offline|connecting|catching-up))+)* live/;

async function backUp(tide: TideServer): Promise<void> {
  await tide.stop();
  for (const part of PARTS) {
    await cp(tide.database + part, `${tide.database}.backup${part}`).catch(() => undefined);
  }
  await tide.start();
}

async function restore(tide: TideServer): Promise<void> {
  await tide.stop();
  for (const part of PARTS) {
    await rm(tide.database + part, { force: true });
    await cp(`${tide.database}.backup${part}`, tide.database + part).catch(() => undefined);
  }
  await tide.start();
}

test("what it lost comes back from its authors, once; what nobody here wrote is kept as lost and can be exported", async ({
  tide,
  context,
  newBrowser,
}) => {
  const ann = await TodoPage.open(context, tide, { user: "ann" });
  const bob = await TodoPage.open(await newBrowser(), tide, { user: "bob" });
  await ann.add("Before");
  await converged([ann, bob], ["Before"]);
  await backUp(tide);
  for (const each of [ann, bob]) await each.retryNow();

  await ann.add("Ann's");
  await bob.add("Bob's");
  const backend = new RawWriter(tide, "todos");
  await backend.push([backend.addTodo("A backend's")]);
  const titles = () => ann.titles.allTextContents().then((all) => [...all].sort());
  await expect.poll(titles).toEqual(["A backend's", "Ann's", "Before", "Bob's"]);
  for (const each of [ann, bob]) await each.synced();

  await restore(tide);
  for (const each of [ann, bob]) await each.retryNow();
  for (const each of [ann, bob]) {
    await expect
      .poll(() => each.titles.allTextContents().then((all) => [...all].sort()))
      .toEqual(["Ann's", "Before", "Bob's"]);
    await each.synced();
    await expect(each.statusLine).toHaveText("Live");
    expect(await each.parked()).toEqual([]);
    await expectStatuses(each.page, WENT_AWAY);
  }
  const stored = await eventsOf(tide, "todos");
  expect(stored.map(({ position }) => position)).toEqual([1, 2, 3]);
  expect(new Set(stored.map(({ commitId }) => commitId)).size).toBe(3);
  const lost = await ann.page.evaluate(async () => {
    const { lost } = await window.tidelog.storage.refresh();
    const events = await window.tidelog.lost();
    const lines = await new Response(window.tidelog.export({ what: "lost" })).text();
    return { lost, titles: events.map(({ data }) => (data as { title: string }).title), lines };
  });
  expect(lost.lost).toBeGreaterThan(0);
  expect(lost.titles).toEqual(["A backend's"]);
  expect(
    lost.lines
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toMatchObject([{ type: "todo.added", data: { title: "A backend's" } }]);
  await tide.stop();
  await tide.run("verify", ["--log", "todos"]);
});
