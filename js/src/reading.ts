/** Reading the confirmed log and single streams as async iterators that read one page ahead. */
import { BatchReader, keyOf, kindOf } from "./batch.js";
import { PAGE_BYTES } from "./beside.js";
import type { BatchPage, LogCore } from "./border.js";
import type { Engine } from "./engine.js";
import { tidelogError } from "./errors.js";
import type { ReadOptions, ReadPoint, ReadStreamOptions } from "./log-types.js";
import type { RecordedEvent } from "./types.js";

/** Events of one stream that are read at once. */
const STREAM_PAGE = 512;

/** What gives the next run of events; `undefined`: there is no more. */
type NextPage = () => Promise<Iterable<RecordedEvent> | undefined>;

/** The confirmed log. See `LogMembers.read`. */
export function readLog(
  engine: Engine,
  options: ReadOptions = {},
): AsyncIterableIterator<RecordedEvent> {
  const backward = options.direction === "backward";
  const pages = async (): Promise<NextPage> => {
    const core = await engine.opened();
    const head = engine.mirror.position;
    const [from, to] = backward ? [options.to, options.from] : [options.from, options.to];
    const low = from === undefined ? 1 : await firstOf(engine, core, from);
    const high = to === undefined ? head : Math.min(head, await lastOf(engine, core, to));
    return logPages(engine, Math.max(1, low), high, backward);
  };
  return new EventIterator(pages, options);
}

/** One stream: what is confirmed, then what is pending; the other way round backward. */
export function readStream(
  engine: Engine,
  stream: string,
  options: ReadStreamOptions = {},
): AsyncIterableIterator<RecordedEvent> {
  if (engine.mirror.rows(kindOf(stream)) === undefined) {
    throw tidelogError("unknown_stream_kind", { kind: kindOf(stream) });
  }
  const backward = options.direction === "backward";
  const [from, to] = backward ? [options.to, options.from] : [options.from, options.to];
  const range = { low: Math.max(1, from ?? 1), high: to ?? Number.MAX_SAFE_INTEGER };
  const pages = async (): Promise<NextPage> => {
    await engine.opened();
    return backward ? backwardPages(engine, stream, range) : forwardPages(engine, stream, range);
  };
  return new EventIterator(pages, options);
}

/** All events of an iterator. */
export async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** Events of the log at positions `low..=high`, page by page. Throws `corrupt_batch` where it has a hole. */
function logPages(engine: Engine, low: number, high: number, backward: boolean): NextPage {
  let [next, last] = [low, high];
  return async () => {
    if (next > last) return undefined;
    const core = await engine.opened();
    const page = await engine.asked(core.readLog(next, last, backward, PAGE_BYTES));
    const runs: Run[] = [];
    for (const batch of page.batches) {
      const reader = new BatchReader(batch);
      const first = batch.firstPosition;
      const end = reader.last;
      const edge = backward ? last : next;
      if (edge < first || edge > end) {
        throw tidelogError("corrupt_batch", {
          position: edge,
          problem: `it holds ${first} to ${end}`,
        });
      }
      const run = { reader, from: reader.until(next - 1), to: reader.until(last) - 1 };
      runs.push(run);
      if (backward) last = first - 1;
      else next = end + 1;
    }
    if (runs.length === 0) {
      throw tidelogError("corrupt_batch", { position: next, problem: "nothing is there" });
    }
    return eventsOf(runs, backward);
  };
}

interface Run {
  readonly reader: BatchReader;
  /** Indexes of the first and of the last event. */
  readonly from: number;
  readonly to: number;
}

function* eventsOf(runs: readonly Run[], backward: boolean): Iterable<RecordedEvent> {
  for (const { reader, from, to } of runs) {
    if (backward) for (let i = to; i >= from; i--) yield reader.event(i);
    else for (let i = from; i <= to; i++) yield reader.event(i);
  }
}

interface Versions {
  readonly low: number;
  readonly high: number;
}

/** Reads until the confirmed versions end, and in that same step takes what is pending. */
function forwardPages(engine: Engine, stream: string, { low, high }: Versions): NextPage {
  const rows = engine.mirror.rows(kindOf(stream));
  const known = rows?.confirmedVersion(keyOf(stream)) ?? 0;
  /** Commits that were confirmed after the reading began: they may have been pending before. */
  const recent = new Set<string>();
  let next = low;
  let read = 0;
  let ended = false;
  return async () => {
    if (ended) return undefined;
    const core = await engine.opened();
    if (!core.keeps(stream)) {
      // The server has it, and nothing here goes on top.
      const events = next > high ? [] : await streamPage(engine, core, stream, next, high, false);
      next = (events.at(-1)?.version ?? high) + 1;
      return events.length > 0 ? events : undefined;
    }
    const confirmed = rows?.confirmedVersion(keyOf(stream)) ?? 0;
    if (next <= Math.min(confirmed, high)) {
      const events = await streamPage(engine, core, stream, next, high, false);
      for (const { version, commitId } of events) {
        next = version + 1;
        read = version;
        if (version > known) recent.add(commitId);
      }
      if (events.length > 0) return events;
    }
    ended = true;
    const pending = engine.mirror.queue
      .eventsOf(stream)
      .filter(({ commitId }) => !recent.has(commitId))
      .map((event, i) => ({ ...event, version: Math.max(confirmed, read) + i + 1 }));
    return pending.filter(({ version }) => version >= low && version <= high);
  };
}

function backwardPages(engine: Engine, stream: string, { low, high }: Versions): NextPage {
  const confirmed = engine.mirror.rows(kindOf(stream))?.confirmedVersion(keyOf(stream)) ?? 0;
  const pending = engine.mirror.queue
    .eventsOf(stream)
    .map((event, i) => ({ ...event, version: confirmed + i + 1 }))
    .filter(({ version }) => version >= low && version <= high)
    .reverse();
  let last = Math.min(high, confirmed);
  let first = true;
  return async () => {
    const core = await engine.opened();
    if (first) {
      first = false;
      if (!core.keeps(stream)) last = high;
      else if (pending.length > 0) return pending;
    }
    if (last < low) return undefined;
    const events = await streamPage(engine, core, stream, low, last, true);
    if (events.length === 0) return undefined;
    last = (events.at(-1)?.version ?? low) - 1;
    return events;
  };
}

async function streamPage(
  engine: Engine,
  core: LogCore,
  stream: string,
  low: number,
  high: number,
  backward: boolean,
): Promise<RecordedEvent[]> {
  const page: BatchPage = await engine.asked(
    core.readStream(stream, low, high, backward, STREAM_PAGE),
  );
  const events = page.batches.flatMap((batch) => {
    const reader = new BatchReader(batch);
    return [...eventsOf([{ reader, from: 0, to: batch.count - 1 }], false)];
  });
  // Whole pages may hold more than was asked for, in any order inside.
  const inside = events.filter(({ version }) => version >= low && version <= high);
  return inside.sort((a, b) => (backward ? b.version - a.version : a.version - b.version));
}

/** The first position at or after a point. */
async function firstOf(engine: Engine, core: LogCore, point: ReadPoint): Promise<number> {
  if ("position" in point) return point.position;
  return (await engine.asked(core.positionAt(point.time.getTime() - 1))) + 1;
}

/** The last position at or before a point. */
export async function lastOf(engine: Engine, core: LogCore, point: ReadPoint): Promise<number> {
  return "position" in point ? point.position : engine.asked(core.positionAt(point.time.getTime()));
}

/** Confirmed commits with events at `low..=high`, in order and whole. */
export async function* commitsOf(
  engine: Engine,
  low: number,
  high: number,
): AsyncGenerator<readonly RecordedEvent[]> {
  let commit: RecordedEvent[] = [];
  const pages = logPages(engine, low, high, false);
  for (let page = await pages(); page !== undefined; page = await pages()) {
    for (const event of page) {
      if (commit.length > 0 && commit[0]?.commitId !== event.commitId) {
        yield commit;
        commit = [];
      }
      commit.push(event);
    }
  }
  if (commit.length > 0) yield commit;
}

/** Reads one page ahead of its consumer. `return()` and the signal end it at once, whatever is on its way. */
class EventIterator implements AsyncIterableIterator<RecordedEvent> {
  readonly #signal: AbortSignal | undefined;
  readonly #open: () => Promise<NextPage>;
  #pages: Promise<NextPage> | undefined;
  #ahead: ReturnType<NextPage> | undefined;
  #page: Iterator<RecordedEvent> | undefined;
  #left: number;
  #done = false;
  /** Calls of `next` that wait, one behind the other. */
  #turn: Promise<unknown> | undefined;
  /** Ends what waits. */
  readonly #end: Promise<"ended">;
  #ended: () => void = () => undefined;

  constructor(
    open: () => Promise<NextPage>,
    { limit = Number.POSITIVE_INFINITY, signal }: { limit?: number; signal?: AbortSignal },
  ) {
    this.#open = open;
    this.#left = limit;
    this.#signal = signal;
    this.#end = new Promise((resolve) => {
      this.#ended = () => resolve("ended");
    });
    signal?.addEventListener("abort", this.#stop, { once: true });
    if (signal?.aborted) this.#stop();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<RecordedEvent, undefined>> {
    if (this.#turn === undefined) {
      const event = this.#take();
      if (event) return Promise.resolve({ done: false, value: event });
    }
    const turn = (this.#turn ?? Promise.resolve()).then(() => this.#next());
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turn = settled;
    settled.then(() => {
      if (this.#turn === settled) this.#turn = undefined;
    });
    return turn;
  }

  async return(): Promise<IteratorResult<RecordedEvent, undefined>> {
    this.#stop();
    return { done: true, value: undefined };
  }

  async throw(thrown: unknown): Promise<never> {
    this.#stop();
    throw thrown;
  }

  /** An event that is here already. */
  #take(): RecordedEvent | undefined {
    if (this.#done || this.#left <= 0) return undefined;
    const step = this.#page?.next();
    if (step === undefined || step.done) return undefined;
    this.#left--;
    return step.value;
  }

  async #next(): Promise<IteratorResult<RecordedEvent, undefined>> {
    for (;;) {
      if (this.#signal?.aborted) throw this.#signal.reason;
      const event = this.#take();
      if (event) return { done: false, value: event };
      if (this.#done || this.#left <= 0) return this.return();
      let page: Awaited<ReturnType<NextPage>> | "ended";
      try {
        this.#ahead ??= this.#read();
        page = await Promise.race([this.#ahead, this.#end]);
      } catch (thrown) {
        this.#stop();
        throw thrown;
      }
      if (page === "ended") continue;
      if (page === undefined) return this.return();
      this.#page = page[Symbol.iterator]();
      this.#ahead = this.#read();
      // Whoever never asks for it need not hear of it.
      this.#ahead.catch(() => undefined);
    }
  }

  async #read(): ReturnType<NextPage> {
    this.#pages ??= this.#open();
    return (await this.#pages)();
  }

  readonly #stop = (): void => {
    this.#done = true;
    this.#page = undefined;
    this.#ahead = undefined;
    this.#signal?.removeEventListener("abort", this.#stop);
    this.#ended();
  };
}
