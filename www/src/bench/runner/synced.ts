/**
 * Devices that sync with the server of this page. Every event says which version it was decided on, so that a fold sees by
 * itself whether all that was pending has been put on top of what others did.
 */
import { createLog, type Log, type RecordedEvent, stream } from "tidelog";
import * as z from "zod";
import "../../shared/zod-setup.ts";
import { WrongResult } from "../loan.ts";
import type { Answers, PingRequest, PongRequest, RebaseRequest } from "./requests.ts";

const BENCH = "/v1/logs/bench";
const LIVE = "/v1/logs/live";
/** So many turns are not counted. */
const WARM_UP = 10;

interface Item {
  readonly events: number;
  readonly sum: number;
  /** Events that were decided on another version than the one before them. */
  readonly wrong: number;
}

interface Step {
  readonly by: number;
  readonly seen: number;
}

const UNBORN: Item = { events: 0, sum: 0, wrong: 0 };

const item = stream("item", {
  events: { moved: z.object({ by: z.number(), seen: z.number() }) },
  initial: UNBORN,
  evolve: { moved: (state, step, { version }) => foldStep(state, step, version) },
  commands: ({ emit }) => ({
    move: (_state, by: number, { version }) => emit.moved({ by, seen: version }),
  }),
});

const ball = stream("ball", {
  events: { hit: z.object({ turn: z.number(), last: z.boolean() }) },
  initial: { turn: 0, last: false },
  evolve: { hit: (_state, data) => data },
  commands: ({ emit }) => ({
    hit: (_state, data: { turn: number; last: boolean }) => emit.hit(data),
  }),
});

function foldStep({ events, sum, wrong }: Item, { by, seen }: Step, version: number): Item {
  return {
    events: events + 1,
    sum: (Math.imul(sum, 31) + by) | 0,
    wrong: wrong + (seen === version - 1 ? 0 : 1),
  };
}

type Device = Log<{ item: typeof item }>;

/** A device of its own. Until `opened` it reaches no server. */
function deviceOf(user: string, opened: Promise<void> = Promise.resolve()): Device {
  const token = () => opened.then(() => undefined);
  const options = { streams: { item }, persist: "manual", sync: { url: BENCH, token } } as const;
  return createLog({ name: "bench", user, ...options });
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** Puts pending commits on top of what others did, and has another device that has nothing pending fold the same. */
export async function rebase(request: RebaseRequest): Promise<Answers["rebase"]> {
  const { pending, incoming, name } = request;
  for (const user of [`${name}-with`, `${name}-without`]) {
    const device = deviceOf(user);
    await atRest(device);
    await device.close();
  }
  const before = gate();
  const rebasing = deviceOf(`${name}-with`, before.opened);
  await rebasing.ready();
  const had = totalOf(rebasing).events;
  const versions = versionsOf(rebasing);
  const receipts = Array.from({ length: pending }, (_, i) => rebasing.item(keyOf(i)).move(i));
  await Promise.all(receipts.map(({ durable }) => durable));

  const others = deviceOf(`${name}-others`);
  await atRest(others);
  await others.import(linesOf(incoming, versions));
  await atRest(others);
  await others.close();

  const all = had + pending + incoming;
  const rebaseMs = await shownAfter(rebasing, all, before.open);
  await atRest(rebasing);

  const plain = gate();
  const folding = deviceOf(`${name}-without`, plain.opened);
  await folding.ready();
  if (totalOf(folding).events !== had) throw new WrongResult("the other device began elsewhere");
  const plainMs = await shownAfter(folding, all, plain.open);

  const events: RecordedEvent[] = [];
  for await (const event of folding.read()) events.push(event);
  const loopMs = loopOf(events.slice(had), all, digestOf(folding), had);
  for (const device of [rebasing, folding]) {
    if (digestOf(device) !== digestOf(folding)) throw new WrongResult("the devices differ");
    if (device.parked.getSnapshot().length > 0) throw new WrongResult("something was parked");
    await device.close();
  }
  return { rebaseMs, plainMs, loopMs };
}

/** The least of what a fold of the new events costs: a loop over them, parsed already. */
function loopOf(
  news: readonly RecordedEvent[],
  all: number,
  expected: string,
  had: number,
): number {
  if (news.length !== all - had) throw new WrongResult(`${news.length} events are new`);
  const rows = new Map<string, Item>();
  const start = performance.now();
  for (const { key, data, version } of news)
    rows.set(key, foldStep(rows.get(key) ?? UNBORN, data as Step, version));
  const ms = performance.now() - start;
  // Of the first round, whose log was empty before, this is the whole state.
  if (had === 0 && textOf([...rows]) !== expected) throw new WrongResult("a plain loop differs");
  return ms;
}

/** Milliseconds from `begin` until a device shows all events, each decided on what stands before it. */
function shownAfter(device: Device, all: number, begin: () => void): Promise<number> {
  return new Promise((resolve) => {
    const start = performance.now();
    const look = () => {
      const { events, wrong } = totalOf(device);
      if (events !== all || wrong !== 0) return;
      stop();
      resolve(performance.now() - start);
    };
    const stop = device.rows(item).subscribe(look);
    begin();
  });
}

function atRest(device: Device): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      const { phase, pending, position, head } = device.status.getSnapshot();
      if (phase !== "live" || pending > 0 || position < head) return;
      stop();
      resolve();
    };
    const stop = device.status.subscribe(look);
    look();
  });
}

function keyOf(i: number): string {
  return `${i % 500}`;
}

/** Every line is of a stream that pending commits are on, too. */
function linesOf(count: number, versions: ReadonlyMap<string, number>): string {
  const next = new Map(versions);
  const lines: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const key = keyOf(i);
    const seen = next.get(key) ?? 0;
    next.set(key, seen + 1);
    const data = { by: -i, seen };
    const time = new Date(1_700_000_000_000 + i).toISOString();
    lines.push(JSON.stringify({ stream: `item/${key}`, type: "item.moved", time, data }));
  }
  return lines.join("\n");
}

function versionsOf(device: Device): ReadonlyMap<string, number> {
  return new Map(
    device
      .rows(item)
      .getSnapshot()
      .map(({ key, version }) => [key, version]),
  );
}

function totalOf(device: Device): Item {
  const total = { events: 0, sum: 0, wrong: 0 };
  for (const { state } of device.rows(item).getSnapshot()) {
    total.events += state.events;
    total.wrong += state.wrong;
  }
  return total;
}

function digestOf(device: Device): string {
  return textOf(
    device
      .rows(item)
      .getSnapshot()
      .map(({ key, state }) => [key, state] as const),
  );
}

function textOf(rows: readonly (readonly [string, Item])[]): string {
  return JSON.stringify(rows.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function playerOf(user: string) {
  const sync = { url: LIVE };
  return createLog({ name: "live", user, streams: { ball }, persist: "manual", sync });
}

/** Hits a ball and waits for the other browser's answer; half of that is one way. Then the bare echo. */
export async function ping(request: PingRequest): Promise<Answers["ping"]> {
  const { name, count, echo } = request;
  const log = playerOf(`${name}-a`);
  await log.ready();
  let hit: (turn: number) => void = () => undefined;
  const stop = log.row(ball, `${name}-b`).subscribe((row) => hit(row?.state.turn ?? 0));
  const ms: number[] = [];
  for (let turn = 1; turn <= WARM_UP + count; turn += 1) {
    const back = new Promise<void>((resolve) => {
      hit = (seen) => {
        if (seen > turn) throw new WrongResult(`turn ${seen} came before ${turn}`);
        if (seen === turn) resolve();
      };
    });
    const start = performance.now();
    log.ball(`${name}-a`).hit({ turn, last: turn === WARM_UP + count });
    await back;
    if (turn > WARM_UP) ms.push((performance.now() - start) / 2);
  }
  stop();
  await log.close();
  return { ms, echo: await echoes(echo, count) };
}

/** Hits every ball back until the last one. */
export async function pong({ name }: PongRequest): Promise<Answers["pong"]> {
  const log = playerOf(`${name}-b`);
  await log.ready();
  await new Promise<void>((resolve) => {
    const answer = () => {
      const there = log.row(ball, `${name}-a`).getSnapshot()?.state;
      const here = log.ball(`${name}-b`).state;
      if (there === undefined || there.turn <= here.turn) return;
      const receipt = log.ball(`${name}-b`).hit(there);
      if (there.last) void receipt.settled.then(() => resolve());
    };
    log.row(ball, `${name}-a`).subscribe(answer);
    answer();
  });
  await log.close();
  return {};
}

async function echoes(url: string, count: number): Promise<readonly number[]> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("no echo"));
  });
  const ms: number[] = [];
  const text = JSON.stringify({ stream: "ball/a", type: "ball.hit", data: { turn: 1 } });
  for (let i = 0; i < WARM_UP + count; i += 1) {
    const back = new Promise((resolve) => {
      socket.onmessage = resolve;
    });
    const start = performance.now();
    socket.send(text);
    await back;
    if (i >= WARM_UP) ms.push(performance.now() - start);
  }
  socket.close();
  return ms;
}
