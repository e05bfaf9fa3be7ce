/** A server erases what a person wrote: every device loses it, on the screen and on its disk, also one that was away. */
import type { Page } from "@playwright/test";
import { expect, test } from "../support/demo.ts";
import { eventsOf } from "../support/server-log.ts";
import type { TideServer } from "../support/tide-server.ts";
import { converged, TodoPage } from "../support/todo-page.ts";

const SECRET = "Call Ada about the diagnosis";

interface Erasure {
  readonly versions?: "all" | readonly (readonly [first: number, last: number])[];
  readonly tombstone?: boolean;
}

async function erase(tide: TideServer, stream: string, erasure: Erasure): Promise<void> {
  const answer = await fetch(tide.url("/v1/logs/todos/erasures"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ stream, reason: "The person asked for it", ...erasure }),
  });
  expect(answer.status, await answer.text()).toBe(201);
}

/** The stream of the todo with this title. */
async function streamOf(tide: TideServer, title: string): Promise<string> {
  const events = await eventsOf(tide, "todos");
  const added = events.find(({ data }) => (data as { title?: string }).title === title);
  if (added === undefined) throw new Error(`nobody has added ${title}`);
  return added.stream;
}

/** In which stores of which databases the bytes of this text lie, whatever they are part of. */
function whereOnDisk(page: Page, text: string): Promise<string[]> {
  return page.evaluate(async (text) => {
    const settled = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const bytesOf = (value: unknown): string => {
      if (value instanceof Uint8Array) return new TextDecoder("latin1").decode(value);
      if (typeof value !== "object" || value === null) return String(value);
      return Object.values(value).map(bytesOf).join("\n");
    };
    const found: string[] = [];
    for (const { name = "" } of await indexedDB.databases()) {
      const database = await settled(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        const all = await settled(database.transaction(store).objectStore(store).getAll());
        if (all.some((value) => bytesOf(value).includes(text))) found.push(`${name} ${store}`);
      }
      database.close();
    }
    return found;
  }, text);
}

async function expectGone(todos: TodoPage): Promise<void> {
  await expect(todos.titles).toHaveText(["Milk", "Call the doctor", "Bread"]);
  await expect.poll(() => whereOnDisk(todos.page, SECRET)).toEqual([]);
  expect(await todos.page.content()).not.toContain(SECRET);
}

test("both screens and both disks lose it, and a device that was away loses it when it comes back", async ({
  tide,
  context,
  newBrowser,
}) => {
  const ann = await TodoPage.open(context, tide, { user: "ann" });
  await ann.add("Milk", "Call the doctor", "Bread");
  await ann.rename("Call the doctor", SECRET);
  await ann.synced();
  const bob = await TodoPage.open(await newBrowser(), tide, { user: "bob" });
  const away = await newBrowser();
  const cleo = await TodoPage.open(away, tide, { user: "cleo" });
  await converged([ann, bob, cleo], ["Milk", SECRET, "Bread"]);
  for (const each of [ann, bob, cleo]) {
    await each.synced();
    await each.page.evaluate(() => window.tidelog.storage.snapshot());
    expect(await whereOnDisk(each.page, SECRET), "it can be found where it is").not.toEqual([]);
  }
  await cleo.page.close();

  await erase(tide, await streamOf(tide, SECRET), { versions: [[2, 2]] });
  for (const each of [ann, bob]) await expectGone(each);
  const back = await TodoPage.open(away, tide, { user: "cleo" });
  await expectGone(back);

  for (const each of [ann, back]) {
    await each.page.reload();
    await each.ready();
    await expectGone(each);
    expect(await each.page.evaluate(() => window.tidelog.verify())).toEqual({ events: 5 });
  }
  const lines = await ann.page.evaluate(() => new Response(window.tidelog.export()).text());
  expect(lines).not.toContain(SECRET);
  expect(lines).toMatch(/"erased":"[0-9a-f]{64}"/);
  // The todo goes on from what is left of it.
  await ann.rename("Call the doctor", "Call the doctor on Monday");
  await converged([ann, bob, back], ["Milk", "Call the doctor on Monday", "Bread"]);
});

test("a todo that was closed for good takes no more changes, and whoever made one is told", async ({
  tide,
  context,
  newBrowser,
}) => {
  const ann = await TodoPage.open(context, tide, { user: "ann" });
  await ann.add("Milk", SECRET);
  await ann.synced();
  const bob = await TodoPage.open(await newBrowser(), tide, { user: "bob" });
  await converged([ann, bob], ["Milk", SECRET]);
  const stream = await streamOf(tide, SECRET);

  await bob.page.context().setOffline(true);
  await bob.toggle(SECRET);
  await erase(tide, stream, { versions: "all", tombstone: true });
  await expect(ann.titles).toHaveText(["Milk", "Erased"]);
  await expect.poll(() => whereOnDisk(ann.page, SECRET)).toEqual([]);

  await bob.page.context().setOffline(false);
  await bob.retryNow();
  await expect(bob.conflicts).toHaveCount(1);
  await expect(bob.conflicts).toContainText("closed for good");
  await expect(bob.conflicts.getByRole("button")).toHaveText(["Discard mine"]);
  await expect.poll(() => whereOnDisk(bob.page, SECRET)).toEqual([]);
  await bob.conflicts.getByRole("button", { name: "Discard mine" }).click();
  await converged([ann, bob], ["Milk", "Erased"]);
});
