/** A backend of somebody's own, in a page of plain Node: JSON, no frames, no chain, no live connection. */

import { once } from "node:events";
import { backend } from "../protocol/minimal-backend.mjs";
import { test as demo, expect } from "../support/demo.ts";
import { Lab } from "../support/lab.ts";
import {
  add,
  goOffline,
  URL as LOG,
  look,
  openLog,
  openSynced,
  rows,
  rowsOf,
  status,
  synced,
} from "../support/lab-test.ts";

const test = demo.extend<{ minimal: Lab }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs
  minimal: async ({}, use) => {
    const server = backend(["lab"]);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port to listen on");
    const lab = await Lab.before(`http://127.0.0.1:${address.port}`);
    await use(lab);
    await lab.close();
    server.closeAllConnections();
    server.close();
  },
});

interface StoredEvent {
  readonly position: number;
  readonly stream: string;
  readonly version: number;
  readonly data: unknown;
}

/** Every event of the backend, as anybody may ask for them. */
async function stored(lab: Lab): Promise<readonly StoredEvent[]> {
  const answer = await fetch(`${lab.origin}${LOG}/commits?after=0`);
  const { commits } = (await answer.json()) as {
    commits: readonly { readonly events: readonly StoredEvent[] }[];
  };
  return commits.flatMap(({ events }) => events);
}

test("what one browser appends shows in another, at once and after a reload", async ({
  minimal,
  newBrowser,
}) => {
  const ann = await openSynced(minimal, await newBrowser());
  const bob = await openSynced(minimal, await newBrowser());
  await add(ann, "a", 3);
  await expect.poll(() => rows(bob)).toEqual(rowsOf({ a: 3 }));
  await add(bob, "b", 2);
  await expect.poll(() => rows(ann)).toEqual(rowsOf({ a: 3, b: 2 }));

  await minimal.goto(bob);
  await openLog(bob, { url: LOG });
  await synced(bob);
  expect(await rows(bob)).toEqual(rowsOf({ a: 3, b: 2 }));
  expect(await bob.evaluate(() => window.lab.log.verify())).toEqual({ events: 5 });
  expect((await stored(minimal)).map(({ position }) => position)).toEqual([1, 2, 3, 4, 5]);
});

test("two browsers that wrote the same stream offline converge after the conflict", async ({
  minimal,
  newBrowser,
}) => {
  const ann = await openSynced(minimal, await newBrowser());
  const bob = await openSynced(minimal, await newBrowser());
  await add(ann, "a");
  await expect.poll(() => rows(bob)).toEqual(rowsOf({ a: 1 }));

  await goOffline(minimal, ann, bob);
  await add(ann, "a", 2);
  await add(bob, "a", 3);
  minimal.cut(false);
  await synced(ann);
  await synced(bob);
  await synced(ann);
  await expect.poll(() => rows(ann)).toMatchObject([{ key: "a", version: 6 }]);
  await expect.poll(() => rows(bob)).toEqual(await rows(ann));
  expect((await stored(minimal)).map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6]);
});

test("commits whose answers were lost are sent again and stored once", async ({
  minimal,
  context,
}) => {
  const page = await openSynced(minimal, context);
  let losses = 3;
  minimal.between(({ method }) => {
    if (method !== "POST" || losses === 0) return undefined;
    losses -= 1;
    return "lose";
  });
  await add(page, "a", 5);
  await expect.poll(() => losses).toBe(0);
  await synced(page);
  expect(await rows(page)).toEqual(rowsOf({ a: 5 }));
  const tags = (await stored(minimal)).map(({ data }) => (data as { tag: string }).tag);
  expect(tags).toEqual(["a-1", "a-2", "a-3", "a-4", "a-5"]);
  const pushes = minimal.calls.filter(({ method }) => method === "POST");
  expect(new Set(pushes.map(({ headers }) => headers["content-type"]))).toEqual(
    new Set(["application/json"]),
  );
});

test("an answer that cannot be is not taken, and what the page has stays", async ({
  minimal,
  context,
}) => {
  const page = await openSynced(minimal, context);
  await add(page, "a", 2);
  await synced(page);
  const answer = await fetch(`${minimal.origin}${LOG}/commits?after=0`);
  const told = (await answer.json()) as {
    readonly commits: readonly { readonly events: readonly StoredEvent[] }[];
  };
  const [first] = told.commits;
  const [event] = first?.events ?? [];
  // What would follow, but for one thing.
  const next = { ...event, position: 3, version: 3 };
  const lies = [
    { ...first, events: [{ ...next, position: 4 }] },
    { ...first, events: [{ ...next, version: 4 }] },
    { ...first, events: [next, next] },
    { ...first, events: [] },
    { ...first, events: [next], chain: "0".repeat(64) },
  ];
  for (const lie of lies) {
    const lied = { ...told, head: { position: 4 }, commits: [lie] };
    const body = JSON.stringify(lied);
    const headers = { "content-type": "application/json" };
    // The pull that waits for news would not end before.
    await goOffline(minimal, page);
    minimal.between(({ method }) =>
      method === "GET" ? { status: 200, headers, body } : undefined,
    );
    minimal.cut(false);
    await look(page);
    await expect.poll(() => status(page)).toMatchObject({ error: { code: "bad_answer" } });
    expect(await rows(page)).toEqual(rowsOf({ a: 2 }));
    minimal.between(() => undefined);
    await synced(page);
  }
  await add(page, "a");
  await synced(page);
  expect(await rows(page)).toEqual(rowsOf({ a: 3 }));
});

test("a part of the log is left out here, where the server cannot leave it out", async ({
  minimal,
  newBrowser,
}) => {
  const all = await openSynced(minimal, await newBrowser());
  await add(all, "a", 2);
  await add(all, "b", 2);
  await synced(all);
  const part = await openSynced(minimal, await newBrowser(), { url: LOG, only: ["b"] });
  await expect.poll(() => rows(part)).toEqual(rowsOf({ b: 2 }));
  await add(part, "b");
  await expect.poll(() => rows(all)).toEqual(rowsOf({ a: 2, b: 3 }));
});
