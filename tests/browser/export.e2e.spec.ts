/** Taking a log along: out of one browser, into another, and to and from the server. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, openLog, rowsOf, synced, test, URL } from "../support/lab-test.ts";
import { eventsOf } from "../support/server-log.ts";
import { TideServer } from "../support/tide-server.ts";

const rows = (page: Page) => page.evaluate(() => window.lab.rows());

async function exported(page: Page, options: object = {}): Promise<Buffer> {
  const bytes = await page.evaluate(
    async (options) => [...(await window.lab.exported(options))],
    options,
  );
  return Buffer.from(bytes);
}

function imported(page: Page, file: Buffer) {
  return page.evaluate(
    async (bytes) => {
      const seen: number[] = [];
      const result = await window.lab.log.import(new Blob([Uint8Array.from(bytes)]), {
        onProgress: ({ events }) => seen.push(events),
      });
      return { ...result, grows: seen.every((n, i) => i === 0 || n >= (seen[i - 1] ?? 0)) };
    },
    [...file],
  );
}

/** A log on this device only, with events of two streams, some of them of one commit. */
async function source(page: Page): Promise<void> {
  await openLog(page);
  await page.evaluate(async () => {
    const { lab } = window;
    await lab.add("a", 250);
    await lab.bulk(["b"], 300);
  });
  await expect.poll(() => page.evaluate(() => window.lab.status().pending)).toBe(0);
}

test("as text, into another browser and into the server, and back", async ({
  lab,
  tide,
  context,
  newBrowser,
}) => {
  const page = await lab.open(context);
  await source(page);
  const file = await exported(page);
  expect(file.toString().trim().split("\n")).toHaveLength(550);

  const other = await lab.open(await newBrowser());
  await openLog(other, { url: URL });
  expect(await imported(other, file)).toMatchObject({ events: 550, skipped: 0, grows: true });
  expect(await rows(other)).toEqual(rowsOf({ a: 250, b: 300 }));
  await synced(other);
  // Once more: nothing is there twice.
  expect(await imported(other, file)).toMatchObject({ events: 0, skipped: 550 });
  await synced(other);
  expect(await eventsOf(tide, "lab")).toHaveLength(550);

  const path = join(tide.database, "..", "lab.ndjson");
  await writeFile(path, file);
  const second = await TideServer.create({ logs: ["lab"] });
  try {
    await second.run("import", ["--log", "lab", path]);
    const back = await second.run("export", ["--log", "lab"]);
    const third = await lab.open(await newBrowser());
    await openLog(third);
    expect(await imported(third, Buffer.from(back))).toMatchObject({ events: 550 });
    expect(await rows(third)).toEqual(rowsOf({ a: 250, b: 300 }));
  } finally {
    await second.dispose();
  }
});

test("as frames, byte for byte: ids, positions and hashes are the same", async ({
  lab,
  context,
  newBrowser,
}) => {
  const page = await lab.open(context);
  await source(page);
  const file = await exported(page, { format: "frames" });
  const other = await lab.open(await newBrowser());
  await openLog(other);
  expect(await imported(other, file)).toMatchObject({ events: 550, skipped: 0 });
  expect(await rows(other)).toEqual(rowsOf({ a: 250, b: 300 }));
  const [mine, theirs] = await Promise.all(
    [page, other].map((each) => each.evaluate(() => window.lab.collect(window.lab.log.read()))),
  );
  expect(theirs).toEqual(mine);
  expect(await other.evaluate(() => window.lab.log.verify())).toEqual({ events: 550 });
  expect(await exported(other)).toEqual(await exported(page));

  // Into a log that went another way they do not fit.
  const third = await lab.open(await newBrowser());
  await openLog(third);
  await third.evaluate(() => window.lab.add("z", 3));
  await expect.poll(() => third.evaluate(() => window.lab.status().pending)).toBe(0);
  const code = await third.evaluate(
    (bytes) => window.lab.codeOf(() => window.lab.log.import(Uint8Array.from(bytes))),
    [...file],
  );
  expect(code).toBe("import_mismatch");
  expect(await rows(third)).toEqual(rowsOf({ z: 3 }));
});

for (const format of ["ndjson", "frames"] as const) {
  test(`what only this device has can be taken to another one, as ${format}`, async ({
    lab,
    tide,
    context,
    newBrowser,
  }) => {
    const page = await lab.open(context);
    await openLog(page, { url: URL });
    await page.evaluate(() => window.lab.add("a", 2));
    await synced(page);
    lab.cut(true);
    await page.evaluate(() => window.lab.add("b", 4));
    const file = await exported(page, { format, what: "unconfirmed" });
    await page.close();

    lab.cut(false);
    const other = await lab.open(await newBrowser());
    await openLog(other, { url: URL });
    await synced(other);
    expect(await imported(other, file)).toMatchObject({ events: 4, skipped: 0 });
    await synced(other);
    expect(await rows(other)).toEqual(rowsOf({ a: 2, b: 4 }));
    expect(await eventsOf(tide, "lab")).toHaveLength(6);
  });
}

test("a wrong line stops an import by its number, and what was before it stays", async ({
  lab,
  context,
}) => {
  const page = await lab.open(context);
  await openLog(page);
  const said = await page.evaluate(async () => {
    const { lab } = window;
    const line = (version: number) =>
      JSON.stringify({
        stream: "counter/a",
        version,
        type: "counter.counted",
        time: "2026-01-02T03:04:05Z",
        data: { tag: `a-${version}`, part: 1, of: 1 },
      });
    const lines = Array.from({ length: 250 }, (_, i) => line(i + 1));
    lines.push('{"stream":');
    try {
      await lab.log.import(lines.join("\n"));
      return undefined;
    } catch (thrown) {
      const { code, fields } = thrown as InstanceType<typeof lab.tidelog.TidelogError>;
      return { code, line: fields.line };
    }
  });
  expect(said).toEqual({ code: "invalid_import", line: 251 });
  const [row] = await rows(page);
  expect(row).toEqual(rowsOf({ a: row?.version ?? 0 })[0]);
  expect(row?.version).toBeGreaterThanOrEqual(200);
});

test("an export and an import end at once when they are cancelled", async ({ lab, context }) => {
  const page = await lab.open(context);
  await openLog(page);
  await page.evaluate(() => window.lab.bulk(["a"], 3_000));
  const said = await page.evaluate(async () => {
    const { lab } = window;
    const out = new AbortController();
    const reader = lab.log.export({ signal: out.signal }).getReader();
    await reader.read();
    out.abort(new Error("no more"));
    const exporting = await lab.codeOf(async () => {
      while (!(await reader.read()).done);
    });
    const into = new AbortController();
    const endless = async function* () {
      const encoder = new TextEncoder();
      for (let version = 1; ; version += 1) {
        const data = { tag: `b-${version}`, part: 1, of: 1 };
        const time = "2026-01-02T03:04:05Z";
        const line = { stream: "counter/b", version, type: "counter.counted", time, data };
        yield encoder.encode(`${JSON.stringify(line)}\n`);
      }
    };
    const importing = await lab.codeOf(() =>
      lab.log.import(endless(), {
        signal: into.signal,
        onProgress: ({ events }) => {
          if (events >= 200) into.abort(new Error("no more"));
        },
      }),
    );
    return { exporting, importing };
  });
  expect(said).toEqual({ exporting: "Error: no more", importing: "Error: no more" });
  // What was begun when it was cancelled may still be on its way.
  await expect(async () => {
    const b = (await rows(page)).find(({ key }) => key === "b");
    expect(b).toEqual(rowsOf({ b: b?.version ?? 0 })[0]);
    expect(b?.version).toBeGreaterThanOrEqual(200);
  }).toPass();
  await page.evaluate(() => window.lab.log.verify());
});
