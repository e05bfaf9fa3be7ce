/**
 * The page's side of the kill test: it appends without end and tells a witness outside the browser what was
 * durable, and another page says what is there afterwards.
 */
import { createLog, TidelogError } from "tidelog";
import { Random } from "../support/random.ts";
import type { Counted } from "./counter.ts";
import { counterOf } from "./counter.ts";

/** How many streams all tabs write to. */
export const KEYS = 12;

export interface Orders {
  /** Without it the log stays on the device. */
  readonly url?: string;
  /** Begins the tag of each commit of this page. */
  readonly tab: string;
  readonly seed: number;
  /** Tell of a commit when it was appended: the planted fault that the test must see. */
  readonly lie: boolean;
}

/** What the witness is told of a commit. */
export interface Told {
  /** Empty for an import: its tag is that of all its commits. */
  readonly id: string;
  readonly tag: string;
  /** How many events it, or the import, has. */
  readonly of: number;
}

/** What the page says to the witness. */
export interface Message {
  readonly durable: readonly Told[];
}

/** An event as the reopened log has it. */
export interface Held extends Counted {
  readonly commitId: string;
  readonly stream: string;
  readonly version: number;
  /** Absent: pending. */
  readonly position?: number;
}

export interface Found {
  readonly events: readonly Held[];
  readonly rows: readonly {
    readonly key: string;
    readonly version: number;
    readonly count: number;
    readonly sum: number;
  }[];
  /** Commit ids. */
  readonly parked: readonly string[];
  /** The same log in three other ways, each up to the last event that was confirmed at its beginning. */
  readonly confirmed: number;
  readonly verified: number;
  readonly exported: number;
  /** By reader: the commit id of each position, from 1. */
  readonly read: readonly string[];
}

/** The bursts of one page. Tabs that change the same streams decide each other's unwritten commands again. */
const BURST_EVENTS = 800;

export class KillPage {
  #log: ReturnType<typeof open> | undefined;
  #writer: Writer | undefined;
  #stopping = false;
  #writing: Promise<void> = Promise.resolve();

  /** Opens the log and writes until `stop` or the end of the process. */
  async write(orders: Orders): Promise<void> {
    const log = open(orders.url);
    this.#log = log;
    const writer = new Writer(log, orders);
    this.#writer = writer;
    this.#writing = log.ready().then(() => writer.run(() => this.#stopping));
    await this.#writing;
  }

  /** Resolves when what was begun is told. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#writing;
    await this.#log?.close();
  }

  /** Opens the log and says what is in it. */
  async read(url: string | undefined): Promise<Found> {
    const log = open(url);
    this.#log = log;
    await log.ready();
    for (;;) {
      const before = stateOf(log);
      const events = await eventsOf(log);
      const rows = log.rows(log.definition).getSnapshot();
      // What was read stream by stream is one state only if nothing was confirmed or parked meanwhile.
      if (stateOf(log) !== before) continue;
      const confirmed = log.status.getSnapshot().position;
      return {
        ...(await otherWays(log, confirmed)),
        events,
        rows: rows.map(({ key, version, state }) => ({ key, version, ...state })),
        parked: this.parked(),
      };
    }
  }

  /** Where the page stands, for a person who looks for what is stuck. */
  describe(): string {
    return JSON.stringify({ doing: this.#writer?.doing, ...this.#log?.status.getSnapshot() });
  }

  /** Commit ids, as of now. */
  parked(): string[] {
    return this.#log?.parked.getSnapshot().map(({ id }) => id) ?? [];
  }

  /** Resolves when the server has everything that is not parked. */
  async synced(): Promise<void> {
    const log = this.#log;
    if (log === undefined) throw new Error("nothing is open");
    document.dispatchEvent(new Event("visibilitychange"));
    await new Promise<void>((resolve) => {
      const look = () => {
        const { phase, pending } = log.status.getSnapshot();
        if (phase !== "live" || pending > 0) return;
        stop();
        resolve();
      };
      const stop = log.status.subscribe(look);
      look();
    });
  }
}

function open(url: string | undefined) {
  const definition = counterOf(1);
  const log = createLog({
    name: "lab",
    streams: { counter: definition },
    durability: "strict",
    ...(url === undefined ? {} : { sync: { url } }),
  });
  return Object.assign(log, { definition });
}

type KillLog = ReturnType<typeof open>;

async function otherWays(log: KillLog, confirmed: number) {
  const read: string[] = [];
  if (confirmed > 0) {
    for await (const { commitId } of log.read({ to: { position: confirmed } })) read.push(commitId);
  }
  const { events: verified } = await log.verify();
  const lines = await new Response(log.export()).text();
  return { confirmed, verified, exported: lines.split("\n").length - 1, read };
}

function stateOf(log: KillLog): string {
  const { position, pending, parked } = log.status.getSnapshot();
  return [position, pending, parked].join();
}

async function eventsOf(log: KillLog): Promise<Held[]> {
  const events: Held[] = [];
  for (const key of keys()) {
    for (const event of await log.counter(key).history()) {
      const { commitId, stream, version, position } = event;
      // The fillers stay here: they are most of the bytes.
      const { filler: _, ...counted } = event.data as Counted;
      const place = position === undefined ? {} : { position };
      events.push({ ...counted, commitId, stream, version, ...place });
    }
  }
  return events;
}

function keys(): string[] {
  return Array.from({ length: KEYS }, (_, i) => `key-${i}`);
}

class Writer {
  readonly #log: KillLog;
  readonly #orders: Orders;
  readonly #random: Random;
  #commits = 0;
  #burstEvents = 0;
  /** Durable, and not told yet. */
  #news: Told[] = [];
  #telling: Promise<void> | undefined;
  /** Which case of `run` it is in; -1 at its end. */
  doing: number | undefined;
  #upkeep: Promise<unknown> = Promise.resolve();

  constructor(log: KillLog, orders: Orders) {
    this.#log = log;
    this.#orders = orders;
    this.#random = new Random(orders.seed);
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      this.doing = this.#random.below(9);
      switch (this.doing) {
        case 0:
          await this.#burst(2 + this.#random.below(60));
          break;
        case 1:
          await this.#burst(this.#burstEvents < BURST_EVENTS ? 100 + this.#random.below(300) : 20);
          break;
        case 2:
          await this.#wide();
          break;
        case 3:
          await this.#append(1, { filler: "x".repeat(1 + this.#random.below(200_000)) });
          break;
        case 4:
          await this.#expecting();
          break;
        case 5:
          await this.#import();
          break;
        case 6:
          this.#meanwhile(this.#log.storage.compact());
          break;
        case 7:
          this.#meanwhile(this.#log.storage.snapshot());
          break;
        default:
          await this.#append(1);
      }
    }
    this.doing = -1;
    await this.#upkeep;
  }

  /** Frames and snapshots are rewritten while the next turns append. */
  #meanwhile(work: Promise<unknown>): void {
    this.#upkeep = Promise.all([this.#upkeep, work]);
  }

  /** Lines that become commits of up to a hundred events. It is told when all of it is durable. */
  async #import(): Promise<void> {
    const tag = this.#tag();
    const of = 1 + this.#random.below(350);
    const time = new Date(0).toISOString();
    const lines = parts(tag, of).map((data) =>
      JSON.stringify({
        stream: `counter/${this.#key()}`,
        type: "counter.counted",
        time,
        data: { ...data, imported: true },
      }),
    );
    try {
      await this.#log.import(lines.join("\n"));
    } catch (thrown) {
      // Another tab was faster on one of the streams: what was imported before stays, and nobody is told of the whole.
      if (thrown instanceof TidelogError && thrown.code === "version_conflict") return;
      throw thrown;
    }
    this.#news.push({ id: "", tag, of });
    await this.#flush();
  }

  /** A command, or raw events of one stream. */
  #append(of: number, more: { readonly filler?: string } = {}): Promise<void> {
    const tag = this.#tag();
    const handle = this.#log.counter(this.#key());
    const receipt =
      of === 1
        ? handle.count({ tag, part: 1, of, ...more })
        : handle.append(parts(tag, of).map((data) => ({ type: "counter.counted", data })));
    return this.#witnessed(receipt, tag, of);
  }

  /** Commits that nobody waits for before the next is appended. */
  async #burst(count: number): Promise<void> {
    this.#burstEvents += count;
    const durable: Promise<void>[] = [];
    for (let i = 0; i < count; i += 1) durable.push(this.#append(1));
    await Promise.all(durable);
  }

  /** A commit over several streams. */
  #wide(): Promise<void> {
    const tag = this.#tag();
    const of = 2 + this.#random.below(40);
    const events = parts(tag, of).map((data) => ({
      stream: `counter/${this.#key()}`,
      type: "counter.counted",
      data,
    }));
    return this.#witnessed(this.#log.append(events), tag, of);
  }

  /** A commit that another tab may beat: then nothing is appended, or it is parked. */
  #expecting(): Promise<void> {
    const tag = this.#tag();
    const handle = this.#log.counter(this.#key());
    const events = parts(tag, 1).map((data) => ({ type: "counter.counted", data }));
    const receipt = handle.append(events, { expected: handle.version });
    return receipt.ok ? this.#witnessed(receipt, tag, 1) : Promise.resolve();
  }

  async #witnessed(
    receipt: { readonly id: string; readonly durable: Promise<void> },
    tag: string,
    of: number,
  ): Promise<void> {
    const told = { id: receipt.id, tag, of };
    if (this.#orders.lie) {
      this.#news.push(told);
      await this.#flush();
      await receipt.durable;
      return;
    }
    await receipt.durable;
    this.#news.push(told);
    await this.#flush();
  }

  /** Everything that became durable together is told together. */
  #flush(): Promise<void> {
    this.#telling ??= Promise.resolve().then(async () => {
      const commits = this.#news;
      this.#news = [];
      this.#telling = undefined;
      await tell({ durable: commits });
    });
    return this.#telling;
  }

  #tag(): string {
    this.#commits += 1;
    return `${this.#orders.tab}-${this.#commits}`;
  }

  #key(): string {
    return `key-${this.#random.below(KEYS)}`;
  }
}

function parts(tag: string, of: number): Counted[] {
  return Array.from({ length: of }, (_, i) => ({ tag, part: i + 1, of }));
}

/** Resolves when the witness has heard it. */
async function tell(message: Message): Promise<void> {
  const answer = await fetch("/witness", { method: "POST", body: JSON.stringify(message) });
  if (!answer.ok) throw new Error(`the witness answered ${answer.status}`);
}
