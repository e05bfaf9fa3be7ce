/**
 * Two builds in two tabs of one profile, as on every day of a release: they share a database, and one of them talks to the server
 * for both. The older one must not lose what it does not know, nor keep the newer one from its work.
 */
import type { Page } from "@playwright/test";
import {
  add,
  expect,
  goOffline,
  look,
  openLog,
  openSynced,
  parked,
  rows,
  rowsOf,
  status,
  synced,
  test,
  URL,
} from "../support/lab-test.ts";
import { eventsOf } from "../support/server-log.ts";
import { expectStatuses } from "../support/statuses.ts";

const NEW = { url: URL, later: true };

const double = (page: Page, key: string) => page.evaluate((key) => window.lab.double(key), key);
const rowOf = async (page: Page, key: string) => (await rows(page)).find((row) => row.key === key);

test("a tab of an older build shows what it knows, refuses what it cannot fold, and sends it all the same", async ({
  lab,
  tide,
  context,
}) => {
  const older = await openSynced(lab, context);
  const newer = await openSynced(lab, context, NEW);
  expect(await status(older)).toMatchObject({ leader: true });
  await add(older, "a", 2);
  await add(newer, "b", 1);
  await expect.poll(() => rows(older)).toEqual(rowsOf({ a: 2, b: 1 }));
  await goOffline(lab, older, newer);
  await double(newer, "a");
  await add(newer, "b", 1);
  await expect.poll(() => rowOf(newer, "a")).toMatchObject({ version: 3, count: 4 });
  // The older tab leaves the stream as it was, says so, and takes no command on what it cannot see.
  await expect.poll(() => rowOf(older, "a")).toMatchObject({ version: 3, count: 2 });
  expect((await status(older)).unfolded).toMatchObject([
    { stream: "counter/a", type: "counter.doubled" },
  ]);
  const refused = await older.evaluate(() => window.lab.codeOf(() => window.lab.add("a")));
  expect(refused).toBe("stream_blocked");
  await add(older, "c", 1);
  lab.cut(false);
  // It is the older tab that sends what the newer one wrote.
  for (const page of [older, newer]) await synced(page);
  expect(await status(older)).toMatchObject({ leader: true, pending: 0, parked: 0 });
  expect((await eventsOf(tide, "lab")).map(({ type }) => type)).toContain("counter.doubled");
  expect(await rowOf(newer, "c")).toMatchObject({ version: 1 });
  for (const page of [older, newer]) {
    await expectStatuses(page, /opening (connecting )?live( (offline|catching-up))+ live/);
  }

  // The older tab gets the new version. Each build has had its own snapshots, and none used the other's.
  await older.reload();
  await openLog(older, NEW);
  await synced(older);
  expect(await rows(older)).toEqual(await rows(newer));
  expect((await status(older)).unfolded).toEqual([]);
  await add(older, "a", 1);
  await synced(older);
  await expect.poll(() => rowOf(newer, "a")).toMatchObject({ version: 4, count: 5 });
});

test("a command that the older build does not have waits for a tab that has it", async ({
  lab,
  tide,
  context,
  newBrowser,
}) => {
  const older = await openSynced(lab, context);
  const newer = await openSynced(lab, context, NEW);
  await add(older, "a", 1);
  await synced(older);
  const stranger = await openSynced(lab, await newBrowser());
  await context.setOffline(true);
  for (const page of [older, newer]) {
    await expect.poll(() => status(page)).toMatchObject({ phase: "offline" });
  }
  const id = await double(newer, "a");
  // Others are faster: somebody has to decide the command again, and it is the older tab that leads.
  await add(stranger, "a", 1);
  await synced(stranger);
  await context.setOffline(false);
  for (const page of [older, newer]) await look(page);
  await expect.poll(async () => (await parked(newer)).map((one) => one.id)).toEqual([id]);
  expect(await parked(older)).toMatchObject([{ id, reason: { code: "unknown_command" } }]);
  await older.close();
  await newer.evaluate((id) => window.lab.log.parked.retry(id).settled, id);
  await synced(newer);
  const stored = await eventsOf(tide, "lab");
  expect(stored.map(({ version, type }) => [version, type])).toEqual([
    [1, "counter.counted"],
    [2, "counter.counted"],
    [3, "counter.doubled"],
  ]);
  expect(await rowOf(newer, "a")).toMatchObject({ version: 3, count: 4 });
});

test("a leader that the server finds too old makes way for a tab of a newer build, and what it wrote is sent", async ({
  lab,
  tide,
  context,
}) => {
  const older = await lab.open(context);
  // The real server refuses it: 0 is lower than the lowest version that it serves.
  await older.route("**/v1/**", (route) =>
    route.continue({ headers: { ...route.request().headers(), "tidelog-client": "0" } }),
  );
  await openLog(older, { url: URL });
  const tooOld = { phase: "blocked", error: { code: "client_too_old" } };
  await add(older, "a", 2);
  await expect.poll(() => status(older)).toMatchObject({ ...tooOld, pending: 2, leader: true });
  // Another tab of that build is told the same by the server itself, and then they leave it at that.
  const alike = await lab.open(context);
  await alike.route("**/v1/**", (route) =>
    route.continue({ headers: { ...route.request().headers(), "tidelog-client": "0" } }),
  );
  await openLog(alike, { url: URL });
  await expect.poll(() => status(alike)).toMatchObject({ ...tooOld, pending: 2 });
  await expect.poll(() => status(older)).toMatchObject({ ...tooOld, pending: 2 });
  expect(await eventsOf(tide, "lab")).toEqual([]);

  const newer = await openSynced(lab, context, NEW);
  expect(await status(newer)).toMatchObject({ leader: true });
  // Nobody with the newer build was told to update, not even for a moment.
  await expectStatuses(newer, /opening (connecting )?(catching-up )?live/);
  for (const page of [older, alike]) {
    await expect
      .poll(() => status(page))
      .toMatchObject({ phase: "live", pending: 0, leader: false });
    await expectStatuses(page, /opening ((connecting|blocked) )+(catching-up )?live/);
  }
  await add(older, "a", 1);
  for (const page of [older, alike, newer]) {
    await synced(page);
    await expect.poll(() => rows(page)).toEqual(rowsOf({ a: 3 }));
  }
  expect(await eventsOf(tide, "lab")).toHaveLength(3);
});
