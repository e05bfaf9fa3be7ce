/**
 * Everything at once: people in two browsers with two tabs each change the same few todos while tabs are
 * reloaded, closed and killed, answers are lost and the server is stopped and killed. Afterwards all is as it
 * has to be. `TIDELOG_SEEDS=1,2,3` chooses the storms, `TIDELOG_STEPS` their length.
 */
import type { BrowserContext } from "@playwright/test";
import { expect, test } from "../support/demo.ts";
import { FaultyProxy } from "../support/faulty-proxy.ts";
import { Random } from "../support/random.ts";
import { eventsOf } from "../support/server-log.ts";
import type { TideServer } from "../support/tide-server.ts";
import { TodoPage } from "../support/todo-page.ts";

const SEEDS = (process.env.TIDELOG_SEEDS ?? "1,2").split(",").map(Number);
const STEPS = Number(process.env.TIDELOG_STEPS ?? 60);
const KEYS = 6;
const USERS = ["ann", "bob"] as const;

interface Place {
  readonly user: string;
  readonly context: BrowserContext;
  readonly tabs: TodoPage[];
}

class Storm {
  /** Commits whose `durable` resolved. */
  readonly durable = new Set<string>();
  readonly places: Place[] = [];
  readonly #random: Random;
  readonly #tide: TideServer;
  readonly #network: FaultyProxy;
  #isUp = true;
  #changes = 0;

  constructor(seed: number, tide: TideServer, network: FaultyProxy) {
    this.#random = new Random(seed);
    this.#tide = tide;
    this.#network = network;
  }

  async begin(newBrowser: () => Promise<BrowserContext>): Promise<void> {
    for (const user of USERS) {
      const context = await newBrowser();
      await context.exposeFunction("witness", (id: string) => this.durable.add(id));
      const place: Place = { user, context, tabs: [] };
      this.places.push(place);
      for (let tab = 0; tab < 2; tab += 1) await this.#openTab(place);
      await place.tabs[0]?.installed();
    }
  }

  async step(): Promise<void> {
    const place = this.#random.pick(this.places);
    const tab = this.#random.pick(place.tabs);
    switch (this.#random.below(20)) {
      case 0:
        await (this.#isUp ? this.#tide.stop() : this.#tide.start());
        this.#isUp = !this.#isUp;
        return;
      case 1:
        if (this.#isUp) await this.#tide.kill9();
        this.#isUp = false;
        return;
      case 2:
      case 3:
        if (!this.#isUp) await this.#tide.start();
        this.#isUp = true;
        return;
      case 4:
        this.#network.loseAnswersToPushes(1 + this.#random.below(2));
        return;
      case 5:
        await tab.page.reload();
        return tab.ready();
      case 6:
        return this.#lose(place, tab);
      default:
        return this.#change(tab);
    }
  }

  /** The faults end. */
  async calm(): Promise<void> {
    this.#network.loseAnswersToPushes(0);
    if (!this.#isUp) await this.#tide.start();
    for (const { tabs } of this.places) for (const tab of tabs) await tab.retryNow();
  }

  async #openTab(place: Place): Promise<void> {
    place.tabs.push(await TodoPage.open(place.context, this.#network, { user: place.user }));
  }

  /** A tab is closed, or its process dies; another is opened. */
  async #lose(place: Place, tab: TodoPage): Promise<void> {
    if (this.#random.below(2) === 0) {
      const crashed = tab.page.waitForEvent("crash");
      const session = await place.context.newCDPSession(tab.page);
      session.send("Page.crash").catch(() => undefined);
      await crashed;
    }
    await tab.page.close();
    place.tabs.splice(place.tabs.indexOf(tab), 1);
    await this.#openTab(place);
  }

  /** One to five commits on one of a few todos, each told to the witness once it is durable. */
  async #change(tab: TodoPage): Promise<void> {
    this.#changes += 1;
    const change = {
      key: `todo-${this.#random.below(KEYS)}`,
      title: `title ${this.#changes}`,
      kind: this.#random.pick(["add", "rename", "toggle", "raw", "exact", "two"] as const),
      count: 1 + this.#random.below(5),
    };
    await tab.page.evaluate(({ key, title, kind, count }) => {
      const { witness } = window as unknown as { witness(id: string): Promise<void> };
      const log = window.tidelog;
      const changes = {
        add: (name: string) => log.todo(`${key} ${name}`).add({ title: name }),
        rename: (name: string) => log.todo(key).rename({ title: name }),
        raw: (name: string) => log.todo(key).append([renamed(name)]),
        exact: (name: string) =>
          log.todo(key).append([renamed(name)], { expected: log.todo(key).version }),
        two: (name: string) =>
          log.todo(`${key} ${name}`).append([
            { type: "todo.added", data: { title: name } },
            { type: "todo.removed", data: {} },
          ]),
      };
      const renamed = (name: string) => ({ type: "todo.renamed", data: { title: name } });
      for (let i = 1; i <= count; i += 1) {
        if (kind === "toggle") {
          // Decided again it may have nothing to say, so that no commit is left to look for.
          if (log.todo(key).state.done) log.todo(key).reopen();
          else log.todo(key).complete();
          continue;
        }
        const receipt = changes[kind](`${title}.${i}`);
        if (receipt.ok) receipt.durable.then(() => witness(receipt.id));
      }
    }, change);
  }
}

for (const seed of SEEDS) {
  test(`storm ${seed}: nothing is lost or doubled, and all screens end equal`, async ({
    tide,
    newBrowser,
  }) => {
    test.setTimeout(120_000 + STEPS * 2_000);
    const network = await FaultyProxy.before(tide.origin);
    try {
      const storm = new Storm(seed, tide, network);
      await storm.begin(newBrowser);
      for (let step = 1; step <= STEPS; step += 1) {
        await test.step(`step ${step}`, () => storm.step());
      }
      await storm.calm();
      const tabs = storm.places.flatMap((place) => place.tabs);
      for (const tab of tabs) await tab.synced();

      const stored = await eventsOf(tide, "todos");
      const confirmed = new Set(stored.map(({ commitId }) => commitId));
      const parked = new Set<string>();
      for (const { tabs } of storm.places) {
        const [one, two] = await Promise.all(tabs.map((tab) => tab.parked()));
        expect(one?.map(({ id }) => id)).toEqual(two?.map(({ id }) => id));
        for (const { id } of one ?? []) parked.add(id);
      }
      const lost = [...storm.durable].filter((id) => !confirmed.has(id) && !parked.has(id));
      expect(lost, "durable, and neither on the server nor parked").toEqual([]);
      const both = [...confirmed].filter((id) => parked.has(id));
      expect(both, "on the server and parked").toEqual([]);
      expect(storm.durable.size).toBeGreaterThan(0);

      expect(stored.map(({ position }) => position)).toEqual(stored.map((_, i) => i + 1));
      const versions = new Map<string, number>();
      for (const { stream, version } of stored) {
        expect(version, stream).toBe((versions.get(stream) ?? 0) + 1);
        versions.set(stream, version);
      }

      const [first, ...others] = tabs;
      const titles = (await first?.titles.allTextContents()) ?? [];
      for (const tab of others) await expect(tab.titles).toHaveText(titles);
      for (const tab of tabs) {
        for (const [stream, version] of versions) {
          const key = stream.replace("todo/", "");
          expect(await tab.page.evaluate((key) => window.tidelog.todo(key).version, key)).toBe(
            version,
          );
        }
      }
      await tide.stop();
      await tide.run("verify", ["--log", "todos"]);
    } finally {
      await network.close();
    }
  });
}
