/** Opening from snapshots, and compaction under readers and writers. */
import type { Page } from "@playwright/test";
import { expect, openLog, rowsOf, synced, test, URL } from "../support/lab-test.ts";

const rows = (page: Page) => page.evaluate(() => window.lab.rows());
const add = (page: Page, key: string, count = 1) =>
  page.evaluate(({ key, count }) => window.lab.add(key, count), { key, count });

/** A log on this device only, its snapshot saved, with five events behind it. */
async function saved(page: Page): Promise<void> {
  await openLog(page);
  await add(page, "a", 1_500);
  await add(page, "b", 700);
  await expect.poll(() => page.evaluate(() => window.lab.status().pending)).toBe(0);
  expect(await page.evaluate(() => window.lab.log.storage.snapshot())).toBe(true);
  await add(page, "b", 5);
  await expect
    .poll(() => page.evaluate(() => window.lab.status()))
    .toMatchObject({
      pending: 0,
      position: 2_205,
    });
  await page.evaluate(() => window.lab.log.close());
  await page.reload();
  await page.waitForFunction(() => window.lab !== undefined);
}

const ALL = rowsOf({ a: 1_500, b: 705 });

test("a reload folds only what came after the snapshot, and shows what a whole rebuild shows", async ({
  lab,
  context,
}) => {
  const page = await lab.open(context);
  await saved(page);
  expect(await page.evaluate(() => window.lab.openCounting({}))).toBeLessThan(100);
  expect(await rows(page)).toEqual(ALL);
  expect(await page.evaluate(() => window.lab.status())).toMatchObject({ position: 2_205 });
  // The lists of what was folded, and a fold from the first event on.
  await page.evaluate(() => window.lab.log.rebuild(window.lab.log.definition));
  expect(await rows(page)).toEqual(ALL);

  await page.evaluate(() => window.lab.log.close());
  await page.reload();
  await page.waitForFunction(() => window.lab !== undefined);
  const folded = await page.evaluate(() => window.lab.openCounting({ snapshots: false }));
  expect(folded).toBe(2_205);
  expect(await rows(page)).toEqual(ALL);
});

test("a snapshot of another version of the fold is not used", async ({ lab, context }) => {
  const page = await lab.open(context);
  await saved(page);
  expect(await page.evaluate(() => window.lab.openCounting({ fold: 2 }))).toBeGreaterThan(2_000);
  expect(await rows(page)).toEqual(ALL);
});

test("a damaged snapshot is as good as none", async ({ lab, context }) => {
  const page = await lab.open(context);
  await saved(page);
  expect(await page.evaluate(() => window.lab.disk.damage("snapshots"))).toBeGreaterThan(0);
  await openLog(page);
  expect(await rows(page)).toEqual(ALL);
  await add(page, "c", 1);
  expect(await rows(page)).toEqual([...ALL, ...rowsOf({ c: 1 })]);
  await page.evaluate(() => window.lab.log.verify());
});

test("one tab compacts while another reads and appends", async ({ lab, context }) => {
  const page = await lab.open(context);
  await openLog(page, { url: URL });
  // Frames as small as they get: each event is confirmed before the next is appended.
  for (let i = 0; i < 30; i += 1) {
    await add(page, "a", 1);
    await synced(page);
  }
  const other = await lab.open(context);
  await openLog(other, { url: URL });

  const busy = other.evaluate(async () => {
    const { lab } = window;
    let reads = 0;
    for (let i = 0; i < 40; i += 1) {
      await lab.add("b", 5);
      const events = await lab.collect(lab.log.read());
      if (events.some(({ position }, at) => position !== at + 1)) throw new Error("a hole");
      const own = await lab.collect(lab.log.counter("a").read());
      if (own.length !== 30) throw new Error(`${own.length} events of a`);
      reads += 1;
    }
    return reads;
  });
  const compacting = page.evaluate(async () => {
    for (let i = 0; i < 20; i += 1) await window.lab.log.storage.compact();
  });
  expect(await busy).toBe(40);
  await compacting;
  await synced(other);
  await synced(page);
  const after = await page.evaluate(async () => {
    await window.lab.log.storage.compact();
    return window.lab.log.storage.refresh();
  });
  expect(after.events).toBe(230);
  // The first 30 alone were 30 frames.
  expect(after.frames).toBeLessThan(30);
  for (const each of [page, other]) {
    await expect.poll(() => rows(each)).toEqual(rowsOf({ a: 30, b: 200 }));
    expect(await each.evaluate(() => window.lab.log.verify())).toEqual({ events: 230 });
  }
});
