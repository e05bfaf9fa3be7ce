/**
 * The tab that talks to the server stops without a word: its process is stopped, as by a debugger or a system short of memory, and
 * the browser keeps its lock. Another tab takes over, and the one that wakes up does no harm.
 *
 * `TIDELOG_FROZEN_SECONDS=60` stops it for so long and with the lease as it is; otherwise a short lease is over soon.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { LabOptions } from "../lab/lab.ts";
import {
  add,
  expect,
  goOffline,
  openLog,
  parked,
  rows,
  rowsOf,
  status,
  synced,
  test,
  URL,
} from "../support/lab-test.ts";
import { OwnBrowser } from "../support/own-browser.ts";
import { eventsOf } from "../support/server-log.ts";
import { expectStatuses } from "../support/statuses.ts";

const FROZEN_SECONDS = Number(process.env.TIDELOG_FROZEN_SECONDS ?? 0);
const OPTIONS: LabOptions = FROZEN_SECONDS > 0 ? { url: URL } : { url: URL, takeOverAfter: 600 };

test("a leader that is stopped is relieved, and what it wakes up with is neither lost nor sent twice", async ({
  lab,
  tide,
  launchOptions,
}) => {
  test.setTimeout(120_000 + 2_000 * FROZEN_SECONDS);
  const { executablePath = "", args = [] } = launchOptions;
  const browser = await OwnBrowser.create(executablePath, args);
  try {
    const context = await browser.start();
    const leader = await lab.open(context);
    const follower = await lab.open(context);
    const renderer = await browser.rendererOf(leader);
    expect(await browser.rendererOf(follower), "a process of its own").not.toBe(renderer);
    await openLog(leader, OPTIONS);
    await synced(leader);
    await openLog(follower, OPTIONS);
    await synced(follower);
    expect(await status(leader)).toMatchObject({ leader: true });
    expect(await status(follower)).toMatchObject({ phase: "live", leader: false });

    // The leader has things to send when it is stopped, and in the middle of its tries to do so.
    await goOffline(lab, leader, follower);
    await add(leader, "a", 3);
    await add(follower, "b", 2);
    await expect.poll(() => status(leader)).toMatchObject({ pending: 5 });
    process.kill(renderer, "SIGSTOP");
    let pushes: number;
    try {
      lab.cut(false);
      await add(follower, "a", 2);
      await expect
        .poll(() => status(follower), { timeout: 60_000 })
        .toMatchObject({ phase: "live", pending: 0, leader: true });
      expect(await rows(follower)).toEqual(rowsOf({ a: 5, b: 2 }));
      expect(await eventsOf(tide, "lab")).toHaveLength(7);
      await add(follower, "b", 1);
      await synced(follower);
      await wait(1_000 * FROZEN_SECONDS);
      pushes = lab.calls.filter(({ method }) => method === "POST").length;
    } finally {
      process.kill(renderer, "SIGCONT");
    }

    await expect
      .poll(() => status(leader))
      .toMatchObject({ phase: "live", pending: 0, leader: false });
    await expect.poll(() => rows(leader)).toEqual(rowsOf({ a: 5, b: 3 }));
    expect(await status(follower)).toMatchObject({ phase: "live", leader: true });
    expect(lab.calls.filter(({ method }) => method === "POST").length).toBe(pushes);
    await add(leader, "a", 1);
    await synced(leader);
    await synced(follower);
    for (const page of [leader, follower]) {
      await expect.poll(() => rows(page)).toEqual(rowsOf({ a: 6, b: 3 }));
      expect(await parked(page)).toEqual([]);
      await expectStatuses(
        page,
        /opening (connecting )?live offline ((connecting|catching-up|offline) )*live/,
      );
    }
    const stored = await eventsOf(tide, "lab");
    expect(stored.map(({ position }) => position)).toEqual(stored.map((_, i) => i + 1));
    expect(new Set(stored.map(({ commitId }) => commitId)).size).toBe(9);
  } finally {
    await browser.dispose();
  }
});
