/**
 * What stands between a browser and the server: a network that breaks in the middle, a sign-in that has expired, caps,
 * refusals, portals and lines that hang. Whatever it is, nothing is parked or lost, the status says what it is, and it
 * is over when it is over.
 */
import { writeFile } from "node:fs/promises";
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
import type { TideServer } from "../support/tide-server.ts";

const isPush = ({ method }: { readonly method: string }) => method === "POST";
const problem = (status: number, code: string, headers = {}) => ({
  status,
  headers: { "content-type": "application/problem+json", ...headers },
  body: JSON.stringify({ status, code, detail: "as the test says" }),
});

const AS_ANN = { url: URL, user: "ann", tokenFrom: "/token" };

/** From now on the server takes this token and no other. */
async function servedWith(tide: TideServer, token: string): Promise<void> {
  const tokens = `${tide.database}.tokens`;
  await tide.stop();
  await writeFile(tokens, `lab ${token} ann\n`);
  await tide.start({ logs: ["lab"], dev: false, args: ["--tokens", tokens] });
}

test("500 commits made offline go in one push", async ({ lab, tide, context }) => {
  const page = await openSynced(lab, context);
  await goOffline(lab, page);
  await add(page, "a", 500);
  expect(await status(page)).toMatchObject({ phase: "offline", pending: 500 });
  const before = lab.calls.length;
  lab.cut(false);
  await synced(page);
  // Pushes that were tried before do not count: the server was not there.
  expect((await eventsOf(tide, "lab")).map(({ version }) => version)).toEqual(
    Array.from({ length: 500 }, (_, i) => i + 1),
  );
  const pushes = lab.calls.slice(before).filter(isPush);
  expect(pushes).toHaveLength(1);
  expect(await rows(page)).toEqual(rowsOf({ a: 500 }));
  await expectStatuses(page, /opening (connecting )?live offline (catching-up )?live/);
});

test("the network is cut in the middle of a push: it says offline, and goes on where it was", async ({
  lab,
  tide,
  context,
}) => {
  const page = await openSynced(lab, context);
  // The push has arrived halfway, and from then on nothing does.
  lab.between((call) => {
    if (isPush(call)) lab.cut(true);
    return undefined;
  });
  await add(page, "a", 40);
  await expect.poll(() => status(page)).toMatchObject({ phase: "offline", pending: 40 });
  lab.between(() => undefined);
  lab.cut(false);
  await synced(page);
  expect(await rows(page)).toEqual(rowsOf({ a: 40 }));
  expect(await eventsOf(tide, "lab")).toHaveLength(40);
  await expectStatuses(page, /opening (connecting )?live offline (catching-up )?live/);
});

test("a push that is cut in its middle, or whose answer is, is stored once: whatever was on its way is sent again", async ({
  lab,
  tide,
  context,
}) => {
  const page = await openSynced(lab, context);
  // Not once, because a browser sends again by itself what it lost on a connection that was open before.
  for (const [key, way] of Object.entries({ a: "half", b: "lose", c: "half" } as const)) {
    lab.between((call) => (isPush(call) ? way : undefined));
    const before = lab.calls.length;
    await add(page, key, 30);
    await expect.poll(() => lab.calls.slice(before).filter(isPush).length).toBeGreaterThan(0);
    // What the server has stored is confirmed by the next pull, whether or not the push was answered.
    if (way === "half") await expect.poll(() => status(page)).toMatchObject({ phase: "offline" });
    lab.between(() => undefined);
    await synced(page);
  }
  const stored = await eventsOf(tide, "lab");
  expect(stored.map(({ position }) => position)).toEqual(stored.map((_, i) => i + 1));
  expect(new Set(stored.map(({ commitId }) => commitId)).size).toBe(90);
  expect(await rows(page)).toEqual(rowsOf({ a: 30, b: 30, c: 30 }));
  expect(await parked(page)).toEqual([]);
  await expectStatuses(page, /opening (connecting )?live( offline (catching-up )?live){2,3}/);
  await tide.stop();
  await tide.run("verify", ["--log", "lab"]);
});

test("a token that expires while offline is asked for anew when it is back, and nobody is bothered", async ({
  lab,
  tide,
  context,
}) => {
  await servedWith(tide, "the-first-token-of-ann");
  lab.token = "the-first-token-of-ann";
  const page = await openSynced(lab, context, AS_ANN);
  await add(page, "a", 1);
  await synced(page);

  await goOffline(lab, page);
  await add(page, "a", 2);
  await servedWith(tide, "the-second-token-of-ann");
  lab.token = "the-second-token-of-ann";
  const before = lab.calls.length;
  lab.cut(false);
  await synced(page);
  expect(await eventsOf(tide, "lab", lab.token)).toHaveLength(3);
  expect(await rows(page)).toEqual(rowsOf({ a: 3 }));
  // The first request goes out without a token, which is asked for then.
  await expectStatuses(page, /opening (connecting )?live offline (catching-up )?live/);
  const old = lab.calls.slice(before).filter(({ headers }) => {
    return headers.authorization === "Bearer the-first-token-of-ann";
  });
  expect(old.length, "a pull and a push may both have been sent with it").toBeLessThanOrEqual(2);
});

test("without a new token it is blocked, asks nobody for nothing, and goes on after the sign-in", async ({
  lab,
  tide,
  context,
}) => {
  await servedWith(tide, "the-only-token-of-ann");
  const page = await lab.open(context);
  await openLog(page, AS_ANN);
  await add(page, "a", 2);
  await expect
    .poll(() => status(page))
    .toMatchObject({ phase: "blocked", pending: 2, error: { code: "unauthorized" } });
  // More changes do not make it ask again, and another tab shows the same.
  const before = lab.calls.length;
  await add(page, "a", 1);
  const other = await lab.open(context);
  await openLog(other, AS_ANN);
  await expect
    .poll(() => status(other))
    .toMatchObject({ phase: "blocked", pending: 3, error: { code: "unauthorized" } });
  expect(lab.calls.length).toBe(before);

  // Somebody signs in in the tab that does not lead, and looks at it.
  await other.evaluate(() => {
    window.lab.token = "the-only-token-of-ann";
    window.lab.log.syncNow();
  });
  await expect.poll(() => status(other)).toMatchObject({ phase: "live", pending: 0, leader: true });
  await expect.poll(() => status(page)).toMatchObject({ phase: "live", pending: 0, leader: false });
  expect(await eventsOf(tide, "lab", "the-only-token-of-ann")).toHaveLength(3);
  for (const each of [page, other]) {
    await expectStatuses(each, /opening (connecting )?blocked (connecting )?(catching-up )?live/);
  }
});

test("a proxy takes small bodies only: pushes become smaller, one commit that never fits is named and holds up nobody", async ({
  lab,
  tide,
  context,
}) => {
  const page = await openSynced(lab, context);
  await goOffline(lab, page);
  await add(page, "a", 60);
  const large = await page.evaluate(async () => {
    const { log } = window.lab;
    const receipt = log.counter("large").count({
      tag: "large-1",
      part: 1,
      of: 1,
      filler: "x".repeat(5_000),
    });
    await receipt.durable;
    return receipt.id;
  });
  await add(page, "b", 60);
  const most = 3_000;
  let refused = 0;
  lab.between((call) => {
    if (!isPush(call) || call.bytes <= most) return undefined;
    refused += 1;
    return { status: 413, headers: { "content-type": "text/html" }, body: "<h1>413</h1>" };
  });
  lab.cut(false);
  await expect
    .poll(() => status(page))
    .toMatchObject({ phase: "error", pending: 1, error: { code: "commit_oversized" } });
  const message = await page.evaluate(
    () => window.lab.log.status.getSnapshot().error?.message ?? "",
  );
  expect(message).toContain(large);
  expect((await status(page)).retryAt).toBeGreaterThan(0);
  expect(await eventsOf(tide, "lab")).toHaveLength(120);
  expect(await parked(page)).toEqual([]);
  expect(refused).toBeLessThan(10);

  const before = refused;
  await add(page, "c", 5);
  await expect.poll(() => status(page)).toMatchObject({ pending: 1 });
  expect(refused, "the size is remembered").toBe(before);
  lab.between(() => undefined);
  await page.evaluate(() => window.lab.log.syncNow());
  await synced(page);
  expect(await eventsOf(tide, "lab")).toHaveLength(126);
  await expectStatuses(page, /opening (connecting )?live offline (catching-up |live )*error live/);
});

test("a server that asks to wait is not asked again, whatever the person does, and its time is shown", async ({
  lab,
  tide,
  context,
}) => {
  const page = await openSynced(lab, context);
  const hour = 3_600_000;
  for (const [status_, wait] of [
    [503, () => new Date(Date.now() + hour).toUTCString()],
    [429, () => "3600"],
  ] as const) {
    let pushes = 0;
    lab.between((call) => {
      if (!isPush(call)) return undefined;
      pushes += 1;
      return problem(status_, "unavailable", { "retry-after": wait() });
    });
    await add(page, `w${status_}`, 1);
    const later = async () => ((await status(page)).retryAt ?? 0) - Date.now();
    await expect.poll(later).toBeGreaterThan(hour - 120_000);
    expect(await later()).toBeLessThan(hour + 120_000);
    await look(page);
    await page.evaluate(() => window.lab.log.syncNow());
    // What others do arrives meanwhile, after all that the look could have caused.
    const other = await lab.open(context);
    await openLog(other, { url: `${tide.origin}${URL}`, user: `other-${status_}` });
    await add(other, `o${status_}`, 1);
    await expect
      .poll(async () => (await rows(page)).map(({ key }) => key))
      .toContain(`o${status_}`);
    await other.close();
    expect(pushes).toBe(1);
    // A reload begins anew.
    lab.between(() => undefined);
    const waiting = status_ === 503 ? /offline/ : /error/;
    await expectStatuses(page, new RegExp(`opening (connecting )?live ${waiting.source}`));
    await page.reload();
    await openLog(page, { url: URL });
    await synced(page);
  }
  expect(await eventsOf(tide, "lab")).toHaveLength(4);
});

test("a build that the server no longer serves says that an update is needed, and keeps its changes", async ({
  lab,
  tide,
  context,
}) => {
  lab.between(({ headers }) =>
    headers["tidelog-client"] === "1" ? problem(426, "client_too_old") : undefined,
  );
  const page = await lab.open(context);
  await openLog(page, { url: URL });
  await add(page, "a", 2);
  await expect
    .poll(() => status(page))
    .toMatchObject({ phase: "blocked", pending: 2, error: { code: "client_too_old" } });
  expect((await status(page)).retryAt).toBeGreaterThan(Date.now() + 60_000);
  await expectStatuses(page, /opening (connecting )?blocked/);
  lab.between(() => undefined);
  await page.reload();
  await openLog(page, { url: URL });
  await synced(page);
  expect(await eventsOf(tide, "lab")).toHaveLength(2);
  await expectStatuses(page, /opening (connecting )?live/);
});

test("redirects are not followed and cut answers are none: nothing is parked", async ({
  lab,
  tide,
  context,
}) => {
  const page = await openSynced(lab, context);
  let led = 0;
  for (const answer of [
    { status: 302, headers: { location: "/v1/portal" } },
    { status: 307, headers: { location: "/v1/portal" } },
    { status: 200, headers: { "content-type": "application/json" }, body: '{"epoch":"' },
    { status: 200, headers: { "content-type": "application/json" }, body: '{"results":[]}' },
    { status: 200, headers: { "content-type": "text/html" }, body: "<h1>Welcome</h1>" },
    { status: 511, headers: { "content-type": "text/html" }, body: "<h1>Sign in</h1>" },
  ]) {
    lab.between((call) => {
      if (call.url === "/v1/portal") led += 1;
      return isPush(call) ? answer : undefined;
    });
    await add(page, "a", 1);
    await expect
      .poll(() => status(page))
      .toMatchObject({
        phase: expect.stringMatching(/^(error|offline)$/),
        pending: 1,
      });
    lab.between(() => undefined);
    await page.evaluate(() => window.lab.log.syncNow());
    await synced(page);
  }
  expect(led).toBe(0);
  expect(await parked(page)).toEqual([]);
  expect(await eventsOf(tide, "lab")).toHaveLength(6);
  await expectStatuses(page, /opening (connecting )?live( (error|offline) (catching-up )?live){6}/);
});

test("a line that hangs is given up, and what it carried is sent again", async ({
  lab,
  tide,
  context,
}) => {
  const page = await lab.open(context);
  await page.clock.install();
  await lab.goto(page);
  await openLog(page, { url: URL });
  await synced(page);
  lab.between((call) => (isPush(call) ? "hang" : undefined));
  await add(page, "a", 3);
  await expect.poll(() => lab.calls.some(isPush)).toBe(true);
  expect(await status(page)).toMatchObject({ phase: "live", pending: 3 });
  lab.between((call) => (isPush(call) ? problem(503, "unavailable") : undefined));
  await page.clock.fastForward(120_000);
  await expect.poll(() => status(page)).toMatchObject({ phase: "offline", pending: 3 });
  lab.between(() => undefined);
  await synced(page);
  expect(await eventsOf(tide, "lab")).toHaveLength(3);
  await expectStatuses(page, /opening (connecting )?live offline (catching-up )?live/);
});
