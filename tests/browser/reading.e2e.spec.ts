/** Readers: either direction, from anywhere, cancelled, and across what this device no longer has. */
import type { Page } from "@playwright/test";
import { expect, openLog, rowsOf, synced, test, URL } from "../support/lab-test.ts";
import { eventsOf } from "../support/server-log.ts";

test("the log and a stream are read in either direction, from a version, a position or a time", async ({
  lab,
  context,
}) => {
  const page = await lab.open(context);
  await openLog(page, { url: URL });
  await page.evaluate(() => window.lab.bulk(["a", "b"], 500));
  await synced(page);
  const half = Date.now();
  await page.evaluate(() => window.lab.add("a", 3));
  await synced(page);
  lab.cut(true);
  await page.evaluate(() => window.lab.add("a", 2));

  const read = await page.evaluate(async (half) => {
    const { lab } = window;
    const { log, collect } = lab;
    const places = async (reader: ReturnType<typeof log.read>) =>
      (await collect(reader)).map(({ position }) => position);
    const versions = async (reader: ReturnType<typeof log.read>) =>
      (await collect(reader)).map(({ version }) => version);
    const { a } = { a: log.counter("a") };
    return {
      all: await places(log.read()),
      back: await places(log.read({ direction: "backward", limit: 3 })),
      between: await places(log.read({ from: { position: 10 }, to: { position: 13 } })),
      since: await places(log.read({ from: { time: new Date(half) } })),
      stream: await versions(a.read()),
      streamBack: await versions(a.read({ direction: "backward", limit: 4 })),
      streamFrom: await versions(a.read({ from: 499, to: 502 })),
      byDefinition: await versions(log.readStream(log.definition, "b", { from: 498 })),
    };
  }, half);
  const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);
  expect(read.all).toEqual(upTo(1_003));
  expect(read.back).toEqual([1_003, 1_002, 1_001]);
  expect(read.between).toEqual([10, 11, 12, 13]);
  expect(read.since).toEqual([1_001, 1_002, 1_003]);
  // Confirmed, then pending; the pending ones first on the way back.
  expect(read.stream).toEqual(upTo(505));
  expect(read.streamBack).toEqual([505, 504, 503, 502]);
  expect(read.streamFrom).toEqual([499, 500, 501, 502]);
  expect(read.byDefinition).toEqual([498, 499, 500]);
});

test("a reader ends at once when its signal aborts, and when the loop is left", async ({
  lab,
  context,
}) => {
  const page = await lab.open(context);
  await openLog(page);
  await page.evaluate(() => window.lab.bulk(["a"], 5_000));
  const ended = await page.evaluate(async () => {
    const { log } = window.lab;
    const controller = new AbortController();
    let seen = 0;
    let reason: unknown;
    try {
      for await (const _ of log.read({ signal: controller.signal })) {
        seen += 1;
        if (seen === 10) controller.abort(new Error("enough"));
      }
    } catch (thrown) {
      reason = (thrown as Error).message;
    }
    const reader = log.read();
    for await (const { position } of reader) if (position === 3) break;
    return { seen, reason, next: await reader.next() };
  });
  expect(ended).toEqual({ seen: 10, reason: "enough", next: { done: true, value: undefined } });
});

/** 4,000 synced events of which this device keeps about the newest 500. */
async function keepingLess(page: Page): Promise<void> {
  await openLog(page, { url: URL });
  await page.evaluate(() => window.lab.bulk(["a", "b"], 2_000, 300));
  await synced(page);
  await page.evaluate(() => window.lab.log.close());
  await page.reload();
  await page.waitForFunction(() => window.lab !== undefined);
  await openLog(page, { url: URL, retain: { newest: 500 } });
  await synced(page);
  await page.evaluate(async () => {
    const { storage } = window.lab.log;
    await storage.compact();
    await storage.snapshot();
    await storage.compact();
  });
}

test("keeping less: old segments go, rows stay, and readers fetch what is missing from the server", async ({
  lab,
  tide,
  context,
}) => {
  const page = await lab.open(context);
  await keepingLess(page);
  await expect
    .poll(() => page.evaluate(() => window.lab.log.storage.refresh()))
    .toMatchObject({ gaps: [{ from: 1, reason: expect.stringMatching(/retention/) }] });
  const info = await page.evaluate(() => window.lab.log.storage.refresh());
  expect(info.oldest).toBeGreaterThan(1);
  expect(info.events).toBe(4_000 - info.oldest + 1);
  expect(info.events).toBeGreaterThanOrEqual(500);

  const all = await page.evaluate(() => window.lab.collect(window.lab.log.read()));
  const stored = await eventsOf(tide, "lab");
  expect(all.map(({ position, commitId }) => [position, commitId])).toEqual(
    stored.map(({ position, commitId }) => [position, commitId]),
  );
  const history = await page.evaluate(() => window.lab.log.counter("a").history());
  expect(history.map(({ version }) => version)).toEqual(
    Array.from({ length: 2_000 }, (_, i) => i + 1),
  );
  expect(await page.evaluate(() => window.lab.log.storage.refresh())).toMatchObject({
    oldest: info.oldest,
  });

  lab.cut(true);
  const offline = await page.evaluate(async (oldest) => {
    const { lab } = window;
    return {
      code: await lab.codeOf(() => lab.collect(lab.log.read())),
      here: (await lab.collect(lab.log.read({ from: { position: oldest } }))).length,
    };
  }, info.oldest);
  expect(offline).toEqual({ code: "history_not_available", here: info.events });

  await page.reload();
  await page.waitForFunction(() => window.lab !== undefined);
  await openLog(page, { url: URL, retain: { newest: 500 } });
  expect(await page.evaluate(() => window.lab.rows())).toEqual(rowsOf({ a: 2_000, b: 2_000 }));
  await page.evaluate(() => window.lab.add("a", 1));
  lab.cut(false);
  await synced(page);
  expect(await page.evaluate(() => window.lab.rows())).toEqual(rowsOf({ a: 2_001, b: 2_000 }));
});

test("a new fold of a log that is kept only in part reads the rest from the server", async ({
  lab,
  context,
}) => {
  const page = await lab.open(context);
  await keepingLess(page);
  await page.evaluate(() => window.lab.log.close());
  await page.reload();
  await page.waitForFunction(() => window.lab !== undefined);
  await openLog(page, { url: URL, fold: 2, retain: { newest: 500 } });
  await synced(page);
  await expect
    .poll(() => page.evaluate(() => window.lab.rows()))
    .toEqual(rowsOf({ a: 2_000, b: 2_000 }));
});
