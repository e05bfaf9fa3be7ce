/**
 * Commands that look at other streams, in two browsers at once, while answers are lost and the server is away. The log must not
 * hold an event that was decided on what was no longer true where it stands.
 */
import type { Page } from "@playwright/test";
import type { Booked } from "../lab/shop.ts";
import { expect, test, URL } from "../support/lab-test.ts";
import { eventsOf, type ServerEvent } from "../support/server-log.ts";

const USERS = ["ann", "bob"] as const;
const ROUNDS = 4;
const SALES = 10;

const status = (page: Page, user: string) =>
  page.evaluate(
    ({ user, url }) => {
      const { phase, pending, position } = window.lab.shop(user, url).status.getSnapshot();
      return { phase, pending, position };
    },
    { user, url: URL },
  );

/** Sales of one person, a price now and then, and all money moved to another till; gives the ids of what was appended. */
const work = (page: Page, user: string, round: number) =>
  page.evaluate(
    async ({ user, url, round, sales }) => {
      const log = window.lab.shop(user, url);
      await log.ready();
      const receipts = [];
      for (let i = 1; i <= sales; i += 1) {
        receipts.push(log.till(`${user}-${i % 2}`).sell("milk"));
        if (i === 5) receipts.push(log.price("milk").set(round * 10 + i));
        // Both empty into the same till, and one of theirs into the other.
        if (i % 4 === 0) receipts.push(log.till(`${user}-0`).empty("safe"));
        if (i % 7 === 0) receipts.push(log.till(`${user}-1`).empty(`${user}-0`));
      }
      const appended = receipts.filter(({ ok }) => ok);
      await Promise.all(appended.map(({ durable }) => durable));
      return appended.map(({ id }) => id);
    },
    { user, url: URL, round, sales: SALES },
  );

test("nothing is ever decided on a stream that has changed since, and what is one commit stays one", async ({
  lab,
  tide,
  newBrowser,
}) => {
  const pages: Page[] = [];
  for (const _ of USERS) pages.push(await lab.open(await newBrowser()));
  const ids = new Set<string>();
  for (let round = 1; round <= ROUNDS; round += 1) {
    // In every other round both work without the server, so that all of it meets at once.
    lab.cut(round % 2 === 0);
    let pushes = 0;
    lab.between(({ method }) => {
      if (method === "POST") pushes += 1;
      return method === "POST" && pushes === 1 ? "lose" : undefined;
    });
    const appended = await Promise.all(
      pages.map((page, i) => work(page, USERS[i] ?? "ann", round)),
    );
    for (const id of appended.flat()) ids.add(id);
    lab.cut(false);
    for (const [i, page] of pages.entries()) {
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await expect
        .poll(() => status(page, USERS[i] ?? "ann"))
        .toMatchObject({ phase: "live", pending: 0 });
    }
  }

  const stored = await eventsOf(tide, "lab");
  expect(stored.map(({ position }) => position)).toEqual(stored.map((_, i) => i + 1));
  const settled = new Set(stored.map(({ commitId }) => commitId));
  const parked = await Promise.all(
    pages.map((page, i) =>
      page.evaluate(
        ({ user, url }) => {
          const all = window.lab.shop(user, url).parked.getSnapshot();
          return all.map(({ id, reason }) => ({ id, cause: reason.cause ?? reason.code }));
        },
        { user: USERS[i] ?? "ann", url: URL },
      ),
    ),
  );
  // A till that somebody else has emptied meanwhile is the only reason for a no.
  for (const { id, cause } of parked.flat()) {
    expect(cause).toBe("nothing_there");
    settled.add(id);
  }
  expect([...ids].filter((id) => !settled.has(id))).toEqual([]);
  expect(contradictionsOf(stored)).toEqual([]);
  for (const [i, page] of pages.entries()) {
    await expect
      .poll(() => status(page, USERS[i] ?? "ann"))
      .toMatchObject({ phase: "live", pending: 0, position: stored.length });
    const shown = await page.evaluate(
      ({ user, url }) => {
        const log = window.lab.shop(user, url);
        const tills = ["ann-0", "ann-1", "bob-0", "bob-1", "safe"];
        return tills.map((key) => [key, log.till(key).state.balance] as const);
      },
      { user: USERS[i] ?? "ann", url: URL },
    );
    expect(Object.fromEntries(shown)).toEqual(balancesOf(stored));
  }
});

/** What of a log contradicts itself: every event says what its command saw. */
function contradictionsOf(stored: readonly ServerEvent[]): readonly string[] {
  const wrong: string[] = [];
  const versions = new Map<string, number>();
  const commits = new Map<string, ServerEvent[]>();
  for (const event of stored) {
    const commit = commits.get(event.commitId) ?? [];
    commits.set(event.commitId, [...commit, event]);
  }
  let price = 1;
  for (const [commit, events] of commits) {
    const first = events[0]?.position ?? 0;
    const together = events.every(({ position }, i) => position === first + i);
    if (!together) wrong.push(`${commit} is not in one place`);
    const before = new Map(versions);
    for (const { stream, version } of events) versions.set(stream, version);
    for (const { type, data, position } of events) {
      if (type === "price.set") {
        price = (data as { price: number }).price;
        continue;
      }
      const { amount, seen, other } = data as Booked;
      const was = before.get(other) ?? 0;
      if (seen !== was) wrong.push(`${position} saw ${other} at ${seen}, and it was at ${was}`);
      if (type === "till.sold" && amount !== price) wrong.push(`${position} sold at ${amount}`);
    }
    const moved = events.filter(({ type }) => type === "till.moved");
    const sum = moved.reduce((sum, { data }) => sum + (data as Booked).amount, 0);
    if (sum !== 0 || moved.length % 2 !== 0) wrong.push(`${commit} moved only a part`);
  }
  return wrong;
}

function balancesOf(stored: readonly ServerEvent[]): Record<string, number> {
  const balances: Record<string, number> = {};
  for (const key of ["ann-0", "ann-1", "bob-0", "bob-1", "safe"]) balances[key] = 0;
  for (const { stream, data } of stored) {
    const key = stream.replace("till/", "");
    if (stream.startsWith("till/")) balances[key] = (balances[key] ?? 0) + (data as Booked).amount;
  }
  return balances;
}
