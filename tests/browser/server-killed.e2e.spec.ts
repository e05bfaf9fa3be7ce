/** The server dies as by a power cut, again and again, while browsers and backends push to it. */
import { expect, test } from "../support/demo.ts";
import { eventsOf, RawWriter } from "../support/server-log.ts";
import { expectStatuses } from "../support/statuses.ts";
import type { TideServer } from "../support/tide-server.ts";
import { converged, TodoPage } from "../support/todo-page.ts";

const KILLS = 3;
const BETWEEN_KILLS = 60;
const WRITERS = 4;
/** The server went away a few times, and came back each time. Nobody has to do anything about it. */
const WENT_AWAY = /opening ((offline|connecting|catching-up|live) )*live/;

/** Backends that push commit after commit, each as often as it takes until it is acknowledged. */
class Writers {
  /** Commit id → the position that the server gave for it. */
  readonly acknowledged = new Map<string, number>();
  #stopped = false;
  #waiting: { readonly count: number; readonly resolve: () => void } | undefined;

  async run(tide: TideServer): Promise<void> {
    const all = Array.from({ length: WRITERS }, (_, i) => this.#write(tide, `writer ${i + 1}`));
    await Promise.all(all);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves when so many more are acknowledged. */
  more(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { count: this.acknowledged.size + count, resolve };
    });
  }

  async #write(tide: TideServer, name: string): Promise<void> {
    const writer = new RawWriter(tide, "todos");
    for (let i = 1; !this.#stopped; i += 1) {
      const commit = writer.addTodo(`${name}, todo ${i}`);
      for (;;) {
        const answer = await writer.push([commit]);
        const result = answer?.results[0];
        if (result === undefined) continue;
        expect(result.verdict).toMatch(/^(accepted|duplicate)$/);
        this.#acknowledge(commit.id, result.positions?.last ?? 0);
        break;
      }
    }
  }

  #acknowledge(id: string, position: number): void {
    this.acknowledged.set(id, position);
    if (this.#waiting && this.acknowledged.size >= this.#waiting.count) this.#waiting.resolve();
  }
}

test("kill -9 during pushes: every acknowledged event is there once, and the browser converges", async ({
  tide,
  context,
}) => {
  const todos = await TodoPage.open(context, tide);
  await todos.synced();
  const writers = new Writers();
  const writing = writers.run(tide);
  const browserIds = await todos.page.evaluate(() => {
    const ids: string[] = [];
    const add = () => {
      const receipt = window.tidelog.todo(`browser-${ids.length}`).add({ title: "From here" });
      ids.push(receipt.id);
      if (ids.length < 200) receipt.durable.then(() => setTimeout(add, 5));
    };
    add();
    return ids.length;
  });
  expect(browserIds).toBe(1);

  for (let kill = 1; kill <= KILLS; kill += 1) {
    await writers.more(BETWEEN_KILLS);
    await tide.kill9();
    await tide.start();
  }
  await writers.more(BETWEEN_KILLS);
  writers.stop();
  await writing;
  await expect
    .poll(() => todos.page.evaluate(() => window.tidelog.todo("browser-199").version))
    .toBe(1);
  await todos.retryNow();
  await todos.synced();

  await expectStatuses(todos.page, WENT_AWAY);
  const stored = await eventsOf(tide, "todos");
  expect(stored.map(({ position }) => position)).toEqual(stored.map((_, i) => i + 1));
  const positions = new Map(stored.map(({ commitId, position }) => [commitId, position]));
  expect(positions.size).toBe(stored.length);
  for (const [id, position] of writers.acknowledged) expect(positions.get(id)).toBe(position);
  const own = stored.filter(({ stream }) => stream.startsWith("todo/browser-"));
  expect(own.map(({ stream }) => stream)).toEqual(
    Array.from({ length: 200 }, (_, i) => `todo/browser-${i}`),
  );
  await expect(todos.items).toHaveCount(stored.length);
  expect((await todos.status()).position).toBe(stored.length);

  await tide.stop();
  await tide.run("verify", ["--log", "todos"]);
  await tide.start();
  const fresh = await TodoPage.open(context, tide, { user: "somebody-else" });
  await todos.retryNow();
  await todos.synced();
  await converged([fresh], await todos.titles.allTextContents());
});

/** Adds todos as fast as they become durable, until told to stop. Resolves with how many there are. */
function addForever(todos: TodoPage, who: string): Promise<number> {
  return todos.page.evaluate(async (who) => {
    const state = { stop: false };
    Object.assign(window, { writing: state });
    for (let i = 0; ; i += 1) {
      if (state.stop) return i;
      await window.tidelog.todo(`${who}-${i}`).add({ title: `${who} ${i}` }).durable;
      // A person is not faster, and the pages have to be drawn too.
      await new Promise((next) => setTimeout(next, 20));
    }
  }, who);
}

function stopAdding(todos: TodoPage): Promise<void> {
  return todos.page.evaluate(() => {
    (window as unknown as { writing: { stop: boolean } }).writing.stop = true;
  });
}

test("killed and started again 20 times under two browsers that write: both end with the same, and nothing twice", async ({
  tide,
  context,
  newBrowser,
}) => {
  test.setTimeout(300_000);
  const ann = await TodoPage.open(context, tide, { user: "ann" });
  const bob = await TodoPage.open(await newBrowser(), tide, { user: "bob" });
  const both = [ann, bob];
  for (const each of both) await each.synced();
  const written = [addForever(ann, "ann"), addForever(bob, "bob")];
  for (let kill = 1; kill <= 20; kill += 1) {
    // Something new has arrived on both since the last time.
    const before = await Promise.all(both.map(async (each) => (await each.status()).position));
    for (const [i, each] of both.entries()) {
      await expect
        .poll(async () => (await each.status()).position, { message: `before kill ${kill}` })
        .toBeGreaterThan(before[i] ?? 0);
    }
    await tide.kill9();
    await tide.start();
  }
  for (const each of both) await stopAdding(each);
  const [anns = 0, bobs = 0] = await Promise.all(written);
  for (const each of both) await each.retryNow();
  for (const each of both) await each.synced();

  const stored = await eventsOf(tide, "todos");
  expect(stored.map(({ position }) => position)).toEqual(stored.map((_, i) => i + 1));
  for (const [who, count] of [
    ["ann", anns],
    ["bob", bobs],
  ] as const) {
    const own = stored.filter(({ stream }) => stream.startsWith(`todo/${who}-`));
    expect(own.map(({ stream }) => stream)).toEqual(
      Array.from({ length: count }, (_, i) => `todo/${who}-${i}`),
    );
  }
  for (const each of both) {
    await expect.poll(async () => (await each.status()).position).toBe(stored.length);
    expect(await each.status()).toMatchObject({ phase: "live", pending: 0, parked: 0 });
    await expect(each.statusLine).toHaveText("Live");
    await expectStatuses(each.page, WENT_AWAY);
  }
});
