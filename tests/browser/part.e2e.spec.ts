/** A browser that syncs a part of the log, beside one that syncs all of it. */
import type { Page } from "@playwright/test";
import {
  add,
  expect,
  goOffline,
  openLog,
  openSynced,
  rows,
  rowsOf,
  status,
  synced,
  test,
  URL,
} from "../support/lab-test.ts";

const part = (...keys: readonly string[]) => ({ url: URL, only: keys });

/** How many events of a counter can be read, or the code of why none can. */
function readable(page: Page, key: string): Promise<number | string | undefined> {
  return page.evaluate(async (key) => {
    const { lab } = window;
    let events = 0;
    const code = await lab.codeOf(async () => {
      events = (await lab.collect(lab.log.readStream(lab.log.definition, key))).length;
    });
    return code ?? events;
  }, key);
}

function codeOfAdding(page: Page, key: string): Promise<string | undefined> {
  return page.evaluate((key) => window.lab.codeOf(() => window.lab.add(key)), key);
}

test("what is not asked for stays on the server, offline and online, until it is asked for", async ({
  lab,
  context,
  browser,
}) => {
  const all = await openSynced(lab, context);
  await add(all, "a", 3);
  await add(all, "b", 5);
  await add(all, "a", 1);
  await synced(all);
  const other = await browser.newContext();
  const some = await openSynced(lab, other, part("a"));
  expect(await rows(some)).toEqual(rowsOf({ a: 4 }));
  expect(await status(some)).toMatchObject({
    position: 9,
    only: { kinds: [], streams: ["counter/a"] },
  });
  const storage = await some.evaluate(() => window.lab.log.storage.refresh());
  expect(storage).toMatchObject({ events: 4, leftOut: 5, only: { streams: ["counter/a"] } });
  expect(await some.evaluate(() => window.lab.log.verify())).toBeTruthy();

  // Nothing is decided on what is not known; the server can be asked what it was.
  expect(await codeOfAdding(some, "b")).toBe("outside_filter");
  expect(await readable(some, "b")).toBe(5);
  await goOffline(lab, some, all);
  expect(await readable(some, "b")).toBe("history_not_available");
  expect(await codeOfAdding(some, "b")).toBe("outside_filter");
  await add(some, "a", 1);
  await add(all, "b", 1);
  lab.cut(false);
  await Promise.all([synced(some), synced(all)]);
  await expect.poll(() => rows(all)).toEqual(rowsOf({ a: 5, b: 6 }));
  expect(await rows(some)).toEqual(rowsOf({ a: 5 }));

  // A later build asks for more, and begins offline: what is here shows until there is more.
  await goOffline(lab, some, all);
  await add(some, "a", 1);
  await some.close();
  const wider = await lab.open(other);
  await openLog(wider, part("a", "b"));
  expect(await rows(wider)).toEqual(rowsOf({ a: 6 }));
  expect(await status(wider)).toMatchObject({
    pending: 1,
    only: { streams: ["counter/a"] },
    nextOnly: { streams: ["counter/a", "counter/b"] },
  });
  lab.cut(false);
  await expect.poll(() => rows(wider)).toEqual(rowsOf({ a: 6, b: 6 }));
  await synced(wider);
  const { only, nextOnly } = await status(wider);
  expect([only?.streams, nextOnly]).toEqual([["counter/a", "counter/b"], undefined]);
  expect(await codeOfAdding(wider, "b")).toBeUndefined();
  await synced(wider);
  await expect.poll(() => rows(all)).toEqual(rowsOf({ a: 6, b: 7 }));
  await other.close();
});

test("of two tabs that ask for different parts the newer one counts, and the older one is told", async ({
  lab,
  context,
}) => {
  const older = await openSynced(lab, context, part("a"));
  await add(older, "a", 2);
  await synced(older);
  const newer = await lab.open(context);
  await openLog(newer, part("a", "b"));
  await expect.poll(() => status(older)).toMatchObject({ error: { code: "filter_replaced" } });
  await expect
    .poll(() => status(newer))
    .toMatchObject({ only: { streams: ["counter/a", "counter/b"] }, phase: "live" });
  expect((await status(newer)).error).toBeUndefined();
  await add(newer, "b", 2);
  await expect.poll(() => rows(older)).toEqual(rowsOf({ a: 2, b: 2 }));
  await add(older, "a", 1);
  await expect.poll(() => rows(newer)).toEqual(rowsOf({ a: 3, b: 2 }));
});
