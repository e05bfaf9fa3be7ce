/** Several people use one browser, one after the other. */
import { add, expect, openLog, openSynced, rows, synced, test, URL } from "../support/lab-test.ts";
import { eventsOf } from "../support/server-log.ts";
import { expectStatuses } from "../support/statuses.ts";

test("who signs out with unsent work leaves it where nobody else sends it; it can be saved and deleted, or sent later", async ({
  lab,
  tide,
  context,
}) => {
  const page = await openSynced(lab, context, { url: URL, user: "ann@example.com" });
  lab.cut(true);
  await add(page, "anns", 3);
  await page.evaluate(() => window.lab.log.close());
  await expectStatuses(page, /opening (connecting )?live (offline )?closed/);

  await openLog(page, { url: URL, user: "bob" });
  expect(await rows(page)).toEqual([]);
  lab.cut(false);
  await add(page, "bobs", 1);
  await synced(page);
  await expectStatuses(page, /opening ((connecting|offline|catching-up) )*live/);
  const left = await page.evaluate(async () => {
    const { keptLogs, openKept } = window.lab.tidelog;
    const names = await keptLogs();
    const kept = await openKept({ name: "lab", user: "ann@example.com" });
    const text = await new Response(kept?.export({ what: "unconfirmed" })).text();
    await kept?.close();
    const nobody = await openKept({ name: "lab", user: "nobody" });
    return { names, pending: kept?.pending, parked: kept?.parked, text, nobody };
  });
  expect([...left.names].sort((a, b) => (a.user < b.user ? -1 : 1))).toEqual([
    { name: "lab", user: "ann@example.com" },
    { name: "lab", user: "bob" },
  ]);
  expect(left).toMatchObject({ pending: 3, parked: 0 });
  expect(left.nobody).toBeUndefined();
  const lines = left.text.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).data.tag)).toEqual(["anns-1", "anns-2", "anns-3"]);
  expect((await eventsOf(tide, "lab")).map(({ stream }) => stream)).toEqual(["counter/bobs"]);

  // Ann is back, and it goes out as if nothing had been.
  await page.evaluate(() => window.lab.log.close());
  await openLog(page, { url: URL, user: "ann@example.com" });
  await synced(page);
  expect(await eventsOf(tide, "lab")).toHaveLength(4);
  await expectStatuses(page, /opening (connecting )?(catching-up )?live/);

  lab.cut(true);
  await add(page, "gone", 1);
  await page.evaluate(() => window.lab.log.close());
  const names = await page.evaluate(async () => {
    const { keptLogs, openKept } = window.lab.tidelog;
    const kept = await openKept({ name: "lab", user: "ann@example.com" });
    await kept?.delete();
    return keptLogs();
  });
  expect(names).toEqual([{ name: "lab", user: "bob" }]);
});
