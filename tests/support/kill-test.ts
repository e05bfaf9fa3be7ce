/**
 * Kills Chromium in the middle of its work, again and again on the same profile, and holds what is there
 * afterwards against what a witness outside was told. The page's side is `lab/kill.ts`.
 *
 * The seed chooses what is done and when the kill comes; how far the browser is by then, no seed can repeat.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { BrowserContext, Page } from "@playwright/test";
import { type Count, type Counted, fold } from "../lab/counter.ts";
import type { Found, Held, Message, Told } from "../lab/kill.ts";
import { Lab } from "./lab.ts";
import { OwnBrowser } from "./own-browser.ts";
import { Random } from "./random.ts";
import { eventsOf } from "./server-log.ts";
import { TideServer } from "./tide-server.ts";

export interface KillTestOptions {
  readonly kind: "local" | "synced";
  readonly kills: number;
  readonly seed: number;
  /** The pages tell of commits that are not durable yet: this must be seen as a loss. */
  readonly lie: boolean;
  readonly executable: string;
  readonly flags: readonly string[];
  /** Where the profile of a loss is kept. */
  readonly evidence: string;
  readonly say: (line: string) => void;
}

/** What all kills of a run amount to. */
export interface Sum {
  readonly kills: number;
  /** Commits that the witness was told are durable, over all profiles. */
  readonly told: number;
}

/** Something that was durable is not there, or what is there cannot be. */
export class Loss extends Error {}

/** A profile is killed this often at most, so that fresh ones are killed too. */
const LIFE = 8;
/** On a busy machine everything takes long, but nothing this long. */
const STUCK_AFTER_MS = 90_000;
/** Keeps Chromium from having a renderer ready: a new process is a new page's. */
const NO_SPARE = "--disable-features=SpareRendererForSitePerProcess";

/** Throws a {@link Loss} at the first one. */
export async function killTest(options: KillTestOptions): Promise<Sum> {
  const { kills, seed, kind, say } = options;
  let done = 0;
  let told = 0;
  for (let life = 1; done < kills; life += 1) {
    const random = new Random(seed * 1_000 + life);
    const until = Math.min(kills, done + 1 + random.below(LIFE));
    const profile = await Profile.create(options, random);
    try {
      for (; done < until; done += 1) {
        const what = await profile.killOnce();
        say(`kill ${done + 1}/${kills} (${kind}, seed ${seed}, profile ${life}): ${what}`);
      }
      await profile.end();
    } catch (thrown) {
      await profile.keep(options.evidence);
      const at = `kill ${done + 1} of --kills ${kills} --seed ${seed} (${kind} log, profile ${life})`;
      const kept = `the profile is kept in ${options.evidence}`;
      if (thrown instanceof Loss) throw new Loss(`${at}: ${thrown.message}; ${kept}`);
      throw new Error(`${at}: ${String(thrown)}; ${kept}`, { cause: thrown });
    } finally {
      told += profile.told.size;
      await profile.dispose();
    }
  }
  say(`${done} kills, ${kind} logs: all of ${told} commits that were durable are there, once`);
  return { kills: done, told };
}

interface Tab {
  readonly name: string;
  readonly page: Page;
  readonly renderer: number;
}

class Profile {
  /** By commit id, imports by their tag. */
  readonly told = new Map<string, Told>();
  readonly #options: KillTestOptions;
  readonly #random: Random;
  readonly #browser: OwnBrowser;
  readonly #lab: Lab;
  readonly #server: TideServer | undefined;
  readonly #problems: string[] = [];
  #onTold: () => void = () => undefined;
  #context: BrowserContext | undefined;
  #kills = 0;

  private constructor(
    options: KillTestOptions,
    random: Random,
    browser: OwnBrowser,
    lab: Lab,
    server: TideServer | undefined,
  ) {
    this.#options = options;
    this.#random = random;
    this.#browser = browser;
    this.#lab = lab;
    this.#server = server;
    lab.onWitness((text) => this.#hear(JSON.parse(text) as Message));
  }

  static async create(options: KillTestOptions, random: Random): Promise<Profile> {
    const { kind, executable, flags } = options;
    const server = kind === "synced" ? await TideServer.create({ logs: ["lab"] }) : undefined;
    await server?.start();
    const lab = await Lab.before(server?.origin);
    const browser = await OwnBrowser.create(executable, [...flags, NO_SPARE]);
    return new Profile(options, random, browser, lab, server);
  }

  /** Writes, kills, opens again and checks. Gives what was done in words. */
  async killOnce(): Promise<string> {
    this.#kills += 1;
    const heardBefore = this.told.size;
    this.#context ??= await this.#browser.start();
    const reachable = this.#server !== undefined && this.#random.below(3) > 0;
    this.#lab.cut(!reachable);
    const tabs: Tab[] = [];
    const count = 1 + this.#random.below(3);
    for (let i = 1; i <= count; i += 1) tabs.push(await this.#openTab(i));

    const after = this.#options.lie ? 1 : this.#random.below(60);
    const more = this.#options.lie ? 0 : this.#random.below(200);
    const enough = this.#heard(heardBefore + after);
    for (const tab of tabs) this.#write(tab);
    await this.#within("the pages to append", enough);
    await wait(more);
    const victim = await this.#kill(tabs);

    const found = await this.#read();
    this.#check(found, victim.told);
    if (reachable) await this.#checkServer();
    await this.#closePages();
    return [
      `${victim.words} of ${count} tab${count === 1 ? "" : "s"}`,
      ...(this.#server ? [reachable ? "online" : "offline"] : []),
      `${after} told and ${more} ms after the start`,
      `${victim.told.length} told so far, all there`,
    ].join(", ");
  }

  /** What is left to be seen at the end of a profile: that the server got everything. */
  async end(): Promise<void> {
    if (this.#server === undefined) return;
    this.#context ??= await this.#browser.start();
    this.#lab.cut(false);
    await this.#read();
    await this.#checkServer();
    await this.#server.stop();
    await this.#server.run("verify", ["--log", "lab"]);
  }

  async keep(folder: string): Promise<void> {
    await this.#browser.kill9();
    await this.#browser.keepProfile(folder);
  }

  async dispose(): Promise<void> {
    await this.#browser.dispose();
    await this.#lab.close();
    await this.#server?.dispose();
  }

  #hear(message: Message): void {
    for (const told of message.durable) this.told.set(told.id || told.tag, told);
    this.#onTold();
  }

  /** Resolves once the witness has heard of `count` commits, or of a problem. */
  #heard(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onTold = () => {
        if (this.told.size >= count || this.#problems.length > 0) resolve();
      };
      this.#onTold();
    });
  }

  async #openTab(index: number): Promise<Tab> {
    if (this.#context === undefined) throw new Error("the browser does not run");
    const before = new Set(await this.#browser.renderers());
    const page = await this.#lab.open(this.#context);
    page.on("pageerror", (error) => this.#problems.push(String(error)));
    const [renderer, ...others] = (await this.#browser.renderers()).filter((id) => !before.has(id));
    if (renderer === undefined || others.length > 0) {
      throw new Error("it cannot be told which process is the new tab's");
    }
    return { name: `${this.#kills}${"abc".charAt(index - 1)}`, page, renderer };
  }

  #write({ name, page }: Tab): void {
    const orders = {
      ...this.#address(),
      tab: name,
      seed: this.#random.below(2 ** 30),
      lie: this.#options.lie,
    };
    page
      .evaluate((orders) => window.lab.kill.write(orders), orders)
      .catch((thrown: unknown) => {
        // A page that was killed while it opened has nothing to say.
        if (!isGone(thrown)) this.#problems.push(String(thrown));
        this.#onTold();
      });
  }

  /** SIGKILL to one tab's process, to all of them or to the whole browser. */
  async #kill(tabs: readonly Tab[]) {
    const how = this.#random.below(4);
    if (how < 2) {
      await this.#browser.kill9();
      this.#context = undefined;
      return { words: "the whole browser", told: [...this.told.values()] };
    }
    const victims = how === 2 ? tabs : [this.#random.pick(tabs)];
    const crashed = victims.map(({ page }) => page.waitForEvent("crash"));
    for (const { renderer } of victims) process.kill(renderer, "SIGKILL");
    await Promise.all(crashed);
    const survivors = tabs.filter((tab) => !victims.includes(tab));
    if (survivors.length > 0) {
      // The others go on, whoever was the leader.
      await this.#within("the other tabs to go on", this.#heard(this.told.size + 1));
      const stopped = survivors.map(({ page }) => page.evaluate(() => window.lab.kill.stop()));
      await this.#within("the other tabs to finish what they began", Promise.all(stopped));
    }
    const words = `${victims.length} renderer${victims.length === 1 ? "" : "s"}`;
    return { words, told: [...this.told.values()] };
  }

  /** What a new tab finds, after the crashed ones are closed. */
  async #read(): Promise<Found> {
    await this.#closePages();
    this.#context ??= await this.#browser.start();
    const page = await this.#lab.open(this.#context);
    page.on("pageerror", (error) => this.#problems.push(String(error)));
    const found = page.evaluate(({ url }) => window.lab.kill.read(url), this.#address());
    return this.#within("a new tab to read the log", found);
  }

  async #closePages(): Promise<void> {
    if (this.#context === undefined) return;
    const pages = this.#context.pages();
    // Its last page would take the browser with it.
    await this.#context.newPage();
    for (const page of pages) await page.close();
  }

  #check(found: Found, told: readonly Told[]): void {
    if (this.#problems.length > 0) throw new Error(`a page says: ${this.#problems.join("; ")}`);
    const commits = commitsOf(found.events);
    const parked = new Set(found.parked);
    expectNone(lostOf(told, found.events, parked), "durable and not there");
    const twice = told.filter(({ id }) => commits.has(id) && parked.has(id));
    expectNone(twice.map(describe), "there and parked");
    const changed = told.filter(
      ({ id, tag }) => commits.get(id)?.some((event) => event.tag !== tag) ?? false,
    );
    expectNone(changed.map(describe), "there with other events");
    expectNone(wrongCommits(found.events), "not whole");
    expectNone(wrongPlaces(found.events), "positions");
    expectNone(wrongStreams(found), "streams");
    expectNone(wrongWays(found), "read in another way");
  }

  async #checkServer(): Promise<void> {
    const page = this.#context?.pages().at(-1);
    if (this.#server === undefined || page === undefined) return;
    const synced = page.evaluate(() => window.lab.kill.synced());
    await this.#within("the server to get everything", synced);
    const stored = await eventsOf(this.#server, "lab");
    const held = stored.map(({ data, ...event }) => ({ ...(data as Counted), ...event }));
    // The server's verdicts may have parked some since the log was read.
    const parked = new Set(await page.evaluate(() => window.lab.kill.parked()));
    expectNone(lostOf([...this.told.values()], held, parked), "durable and not on the server");
    expectNone(wrongCommits(held), "not whole on the server");
    expectNone(wrongPlaces(held), "positions on the server");
  }

  /** Something that has to happen: if it does not, it is said what, and where each page stands. */
  async #within<T>(what: string, event: Promise<T>): Promise<T> {
    const ended = new AbortController();
    const late = wait(STUCK_AFTER_MS, undefined, { signal: ended.signal }).then(async () => {
      const pages = this.#context?.pages() ?? [];
      const states = pages.map((page) =>
        Promise.race([
          page.evaluate(() => window.lab?.kill.describe()).catch(String),
          wait(1_000, "no answer"),
        ]),
      );
      throw new Error(`waited in vain for ${what}: ${(await Promise.all(states)).join("; ")}`);
    });
    try {
      return await Promise.race([event, late]);
    } finally {
      ended.abort();
      late.catch(() => undefined);
    }
  }

  #address(): { readonly url?: string } {
    return this.#server === undefined ? {} : { url: "/v1/logs/lab" };
  }
}

function commitsOf(events: readonly Held[]): Map<string, Held[]> {
  return grouped(events, ({ commitId }) => commitId);
}

function importsOf(events: readonly Held[]): Map<string, Held[]> {
  const imported = events.filter((event) => event.imported);
  return grouped(imported, ({ tag }) => tag);
}

function grouped(events: readonly Held[], keyOf: (event: Held) => string): Map<string, Held[]> {
  const groups = new Map<string, Held[]>();
  for (const event of events) {
    const group = groups.get(keyOf(event));
    if (group) group.push(event);
    else groups.set(keyOf(event), [event]);
  }
  return groups;
}

/** What was told and is neither there nor parked. */
function lostOf(
  told: readonly Told[],
  events: readonly Held[],
  parked: ReadonlySet<string>,
): string[] {
  const commits = commitsOf(events);
  const imports = importsOf(events);
  const lost = told.filter(({ id, tag, of }) =>
    id === "" ? imports.get(tag)?.length !== of : !commits.has(id) && !parked.has(id),
  );
  return lost.map(describe);
}

/** Commits and imports whose parts are not there once each. */
function wrongCommits(events: readonly Held[]): string[] {
  const commits = commitsOf(events.filter(({ imported }) => !imported));
  return [
    ...[...commits].flatMap(([id, events]) => wrongCommit(id, events)),
    ...[...importsOf(events)].flatMap(([tag, events]) => wrongImport(tag, events)),
  ];
}

/** Each of its parts once, and all of them confirmed in a row or none. */
function wrongCommit(id: string, events: readonly Held[]): string[] {
  const sorted = [...events].sort((a, b) => a.part - b.part);
  const first = sorted[0];
  const isWhole =
    sorted.length === first?.of &&
    sorted.every(
      ({ part, of, tag, position }, i) =>
        part === i + 1 &&
        of === first.of &&
        tag === first.tag &&
        position === (first.position === undefined ? undefined : first.position + i),
    );
  return isWhole ? [] : [`${id}: ${JSON.stringify(sorted)}`];
}

/** An import that a kill ended is there up to the end of one of its commits. */
function wrongImport(tag: string, events: readonly Held[]): string[] {
  const parts = events.map(({ part }) => part).sort((a, b) => a - b);
  return parts.every((part, i) => part === i + 1) ? [] : [`import ${tag}: parts ${parts}`];
}

/** The log as a reader, an export and the check of all hashes see it. */
function wrongWays({ events, confirmed, verified, exported, read }: Found): string[] {
  const byPosition = new Map(events.map(({ position, commitId }) => [position, commitId]));
  const wrong = read.flatMap((commitId, i) =>
    commitId === byPosition.get(i + 1) ? [] : [`position ${i + 1}: ${commitId}`],
  );
  if (read.length !== confirmed) wrong.push(`${read.length} of ${confirmed} events read`);
  if (verified < confirmed) wrong.push(`${verified} of ${confirmed} events verified`);
  if (exported < confirmed) wrong.push(`${exported} of ${confirmed} events exported`);
  return wrong;
}

/** Of all confirmed events: 1 to n. */
function wrongPlaces(events: readonly Held[]): string[] {
  const positions = events.flatMap(({ position }) => position ?? []).sort((a, b) => a - b);
  return positions.flatMap((position, i) =>
    position === i + 1 ? [] : [`${position} where ${i + 1} should be`],
  );
}

/** Versions 1 to n, confirmed before pending, and a row that is the fold of exactly these events. */
function wrongStreams({ events, rows }: Found): string[] {
  const streams = new Map<string, { last: Held; state: Count }>();
  const wrong: string[] = [];
  for (const event of events) {
    const { last, state } = streams.get(event.stream) ?? { state: { count: 0, sum: 0 } };
    if (event.version !== (last?.version ?? 0) + 1) {
      wrong.push(`${event.stream}: version ${event.version} behind ${last?.version ?? 0}`);
    }
    const before = last?.position ?? (last ? Number.POSITIVE_INFINITY : 0);
    if ((event.position ?? Number.POSITIVE_INFINITY) < before) {
      wrong.push(`${event.stream}: position ${event.position} behind ${before}`);
    }
    streams.set(event.stream, { last: event, state: fold(state, event) });
  }
  for (const row of rows) {
    const stream = streams.get(`counter/${row.key}`);
    const { count, sum } = stream?.state ?? { count: 0, sum: 0 };
    if (row.version !== stream?.last.version || row.count !== count || row.sum !== sum) {
      wrong.push(`row ${JSON.stringify(row)} is not the fold of ${count} events to sum ${sum}`);
    }
  }
  if (rows.length !== streams.size) wrong.push(`${rows.length} rows of ${streams.size} streams`);
  return wrong;
}

function expectNone(wrong: readonly string[], what: string): void {
  if (wrong.length === 0) return;
  throw new Loss(`${wrong.length} × ${what}: ${wrong.slice(0, 10).join("; ")}`);
}

function describe({ id, tag }: Told): string {
  return id === "" ? `import ${tag}` : `${id} (${tag})`;
}

function isGone(thrown: unknown): boolean {
  return /closed|crash/i.test(String(thrown));
}
