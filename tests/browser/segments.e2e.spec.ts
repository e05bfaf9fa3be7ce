/** A new device takes a long log from the server's sealed runs, and from pages where those are no good. */
import type { BrowserContext } from "@playwright/test";
import type { Answers, Lab } from "../support/lab.ts";
import { expect, look, openLog, status, test, URL } from "../support/lab-test.ts";

const EVENTS = 60_000;
/** Tens of thousands of events, on a machine that does other things too. */
const LONG = { timeout: 120_000, message: "everything is on this device" };

test.describe.configure({ mode: "default", timeout: 240_000 });

const segmentsOf = (lab: Lab) =>
  lab.calls.filter(({ url }) => url.includes("/segments/")).map(({ url }) => url);

/** A new device that reads the log to its end. */
async function openAll(lab: Lab, context: BrowserContext): Promise<void> {
  const page = await lab.open(context);
  await openLog(page, { url: URL });
  await look(page);
  await expect.poll(() => status(page), LONG).toMatchObject({ phase: "live", position: EVENTS });
  expect(await page.evaluate(() => window.lab.log.verify())).toBeTruthy();
  const storage = await page.evaluate(() => window.lab.log.storage.refresh());
  expect(storage).toMatchObject({ events: EVENTS });
}

test("a new device reads sealed runs, each once, and pulls what is around them", async ({
  lab,
  tide,
  context,
}) => {
  await tide.run("import", ["--log", "lab", "--generate", String(EVENTS)]);
  await openAll(lab, context);
  const asked = segmentsOf(lab);
  expect(asked.length).toBeGreaterThan(0);
  expect(new Set(asked).size).toBe(asked.length);
});

const wrong: readonly [string, ReturnType<Answers>][] = [
  ["that is not there", { status: 404, headers: { "content-type": "application/problem+json" } }],
  [
    "that is somebody else's page",
    {
      status: 200,
      headers: { "content-type": "application/vnd.tidelog.frames" },
      body: "Welcome to our network!",
    },
  ],
];

for (const [what, answer] of wrong) {
  test(`a sealed run ${what} is read in pages`, async ({ lab, tide, context }) => {
    await tide.run("import", ["--log", "lab", "--generate", String(EVENTS)]);
    lab.between(({ url }) => (url.includes("/segments/") ? answer : undefined));
    await openAll(lab, context);
    expect(segmentsOf(lab).length).toBeGreaterThan(0);
  });
}
