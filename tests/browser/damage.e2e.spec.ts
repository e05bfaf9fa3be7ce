/** Bits that fell over on the disk: seen, set aside, and fetched again from whoever has them. */
import type { Page } from "@playwright/test";
import { expect, openLog, rowsOf, synced, test, URL } from "../support/lab-test.ts";
import { eventsOf } from "../support/server-log.ts";

const rows = (page: Page) => page.evaluate(() => window.lab.rows());

/** The database of a closed log, some of whose recorded frames are damaged. */
async function damaged(page: Page, which: "all" | "first" | "last", url?: string): Promise<void> {
  const options = url === undefined ? {} : { url };
  await openLog(page, options);
  for (let i = 0; i < 4; i += 1) {
    await page.evaluate((i) => window.lab.add(`key-${i}`, 50), i);
    await expect.poll(() => page.evaluate(() => window.lab.status().pending)).toBe(0);
  }
  await page.evaluate(() => window.lab.log.close());
  expect(
    await page.evaluate((which) => window.lab.disk.damage("log", which), which),
  ).toBeGreaterThan(0);
  await page.reload();
  await page.waitForFunction(() => window.lab !== undefined);
}

const ALL = rowsOf({ "key-0": 50, "key-1": 50, "key-2": 50, "key-3": 50 });

for (const which of ["first", "last", "all"] as const) {
  test(`${which} of the recorded frames damaged: they are set aside and come again from the server`, async ({
    lab,
    context,
  }) => {
    const page = await lab.open(context);
    await damaged(page, which, URL);
    const said = page.evaluate(async (url) => {
      const { lab } = window;
      const said: unknown[] = [];
      lab.make({ url, snapshots: false });
      lab.log.status.subscribe(({ damaged }) => {
        if (damaged) said.push(damaged);
      });
      await lab.log.ready();
      return said;
    }, URL);
    expect(await said).toContainEqual({ from: expect.any(Number), refetch: true });
    await synced(page);
    await expect.poll(() => rows(page)).toEqual(ALL);
    // What was said is over once everything is here again.
    expect((await page.evaluate(() => window.lab.status())).damaged).toBeUndefined();
    const info = await page.evaluate(() => window.lab.log.storage.refresh());
    expect(info.quarantined).toBeGreaterThan(0);
    expect(await page.evaluate(() => window.lab.log.verify())).toEqual({ events: 200 });
    await page.evaluate(() => window.lab.add("key-0", 1));
    await synced(page);
    const [first] = await rows(page);
    expect(first).toEqual(rowsOf({ "key-0": 51 })[0]);
  });
}

test("damage behind a snapshot: rows stand, a reader gets what the server has, and the disk is mended", async ({
  lab,
  context,
}) => {
  const page = await lab.open(context);
  await openLog(page, { url: URL });
  await page.evaluate(() => window.lab.bulk(["a", "b"], 600, 300));
  await synced(page);
  await page.evaluate(async () => {
    const { storage } = window.lab.log;
    await storage.compact();
    await storage.snapshot();
    await window.lab.log.close();
  });
  await page.evaluate(() => window.lab.disk.damage("log", "first"));
  await page.reload();
  await page.waitForFunction(() => window.lab !== undefined);
  await openLog(page, { url: URL });
  expect(await rows(page)).toEqual(rowsOf({ a: 600, b: 600 }));
  await synced(page);

  const read = await page.evaluate(() => window.lab.collect(window.lab.log.read()));
  expect(read.map(({ position }) => position)).toEqual(
    Array.from({ length: 1_200 }, (_, i) => i + 1),
  );
  await expect
    .poll(() => page.evaluate(() => window.lab.log.storage.refresh()))
    .toMatchObject({ quarantined: 1, events: 1_200, oldest: 1, gaps: [] });
  await synced(page);
  expect(await page.evaluate(() => window.lab.log.verify())).toEqual({ events: 1_200 });
  await expect.poll(() => rows(page)).toEqual(rowsOf({ a: 600, b: 600 }));
});

test("the only copy damaged: opening says so by name and place, what can be read is exported, nothing changes", async ({
  lab,
  context,
}) => {
  const page = await lab.open(context);
  await damaged(page, "last");
  const before = await page.evaluate(() => window.lab.disk.dump());
  const said = await page.evaluate(async () => {
    const { lab } = window;
    lab.make({ snapshots: false });
    const error = await lab.log.ready().then(
      () => undefined,
      (thrown: unknown) => String(thrown),
    );
    return { error, status: lab.status() };
  });
  expect(said.error).toMatch(/damaged.* log/);
  expect(said.status).toMatchObject({ phase: "error", error: { code: "database_corrupt" } });
  // Everything before the damage, then the error: a file that ends there must not look whole.
  const exported = await page.evaluate(async () => {
    const taken: { lines: number; bytes: number; end: unknown }[] = [];
    for (const format of ["ndjson", "frames"] as const) {
      const reader = window.lab.log.export({ format }).getReader();
      let lines = 0;
      let bytes = 0;
      let end: unknown;
      try {
        for (let step = await reader.read(); !step.done; step = await reader.read()) {
          bytes += step.value.length;
          lines += step.value.filter((byte) => byte === 10).length;
        }
      } catch (thrown) {
        end = (thrown as { code?: string }).code;
      }
      taken.push({ lines, bytes, end });
    }
    return taken;
  });
  expect(exported[0]).toMatchObject({ lines: 150, end: "database_corrupt" });
  expect(exported[1]?.bytes).toBeGreaterThan(0);
  expect(exported[1]?.end).toBe("database_corrupt");
  expect(await page.evaluate(() => window.lab.disk.dump())).toEqual(before);
});

test("pending work that is damaged: opening says so by name, and nothing of it is pushed", async ({
  lab,
  tide,
  context,
}) => {
  const page = await lab.open(context);
  await openLog(page, { url: URL });
  await page.evaluate(() => window.lab.add("a", 3));
  await synced(page);
  lab.cut(true);
  await page.evaluate(() => window.lab.add("b", 2));
  await page.evaluate(() => window.lab.log.close());
  expect(await page.evaluate(() => window.lab.disk.damage("pending"))).toBeGreaterThan(0);
  await page.reload();
  await page.waitForFunction(() => window.lab !== undefined);
  lab.cut(false);
  const code = await page.evaluate(async (url) => {
    const { lab } = window;
    lab.make({ url });
    return (await lab.codeOf(() => lab.log.ready())) ?? lab.status().error?.code;
  }, URL);
  expect(code).toBe("database_corrupt");
  expect(await eventsOf(tide, "lab")).toHaveLength(3);
});
