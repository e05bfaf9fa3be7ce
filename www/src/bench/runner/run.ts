/** One request in this page. */
import { loadData, parseLines, referenceDigest } from "../dataset.ts";
import { checkDigest, digestOf, EXTRA, foldInto, type Loan, WrongResult } from "../loan.ts";
import { seededRandom } from "../stats.ts";
import {
  answerOf,
  completeOf,
  deleteDatabases,
  deleteFolders,
  openDatabase,
} from "../subjects/idb.ts";
import { subjectInfo } from "../subjects/registry.ts";
import { loadRustFold } from "../subjects/rust-fold.ts";
import type { Store, SubjectId } from "../subjects/subject.ts";
import { extraEvent, held, openSubject } from "./opened.ts";
import { turn, wasmBytes, watchMainThread } from "./probe.ts";
import type {
  Answers,
  AppendRequest,
  BurstRequest,
  FillRequest,
  HistoryRequest,
  OpenRequest,
  ReferenceRequest,
  Request,
  RustRequest,
  StateRequest,
  ToldRequest,
} from "./requests.ts";
import { watch, write } from "./tabs.ts";

export function run(request: Request): Promise<Answers[keyof Answers]> {
  switch (request.kind) {
    case "fill":
      return fill(request);
    case "open":
      return open(request);
    case "settle":
      return settle(request.subject, request.database);
    case "append":
      return append(request);
    case "burst":
      return burst(request);
    case "told":
      return told(request);
    case "history":
      return history(request);
    case "watch":
      return watch(request);
    case "write":
      return write(request);
    case "state":
      return state(request);
    case "reference":
      return reference(request);
    case "rust":
      return rust(request);
    case "rebase":
      return synced().then((page) => page.rebase(request));
    case "ping":
      return synced().then((page) => page.ping(request));
    case "pong":
      return synced().then((page) => page.pong(request));
    case "clean":
      return clean(request.part);
  }
}

/** Not loaded for others than those who ask: the other subjects are not to carry Tidelog along. */
const synced = () => import("./synced.ts");

async function fill(request: FillRequest): Promise<Answers["fill"]> {
  const { text } = await loadData(request.events, request.distinct);
  const options = { strict: true, snapshots: request.snapshots };
  const store = await openSubject(request.subject, request.database, options);
  const start = performance.now();
  await store.importLines(text);
  const ms = performance.now() - start;
  for (let i = 0; i < (request.singles ?? 0); i += 1) await store.append(extraEvent(i));
  await store.settle?.();
  checkDigest(digestOf(store.rows()), request.expected);
  await store.close();
  return { ms };
}

async function open(request: OpenRequest): Promise<Answers["open"]> {
  const { subject } = await subjectInfo(request.subject).load();
  const options = { strict: true, snapshots: request.snapshots };
  await turn();
  const watching = request.watch ? watchMainThread() : undefined;
  const start = performance.now();
  const store = await subject.open(request.database, options);
  // Whoever makes rows for those who ask makes them now, as for a page that shows them.
  const rows = [...store.rows()].length;
  const ms = performance.now() - start;
  held.push(store);
  same("rows", rows >= request.expected.applications, true);
  const longest = await watching?.stop();
  checkDigest(digestOf(store.rows()), request.expected);
  return { ms, wasmBytes: wasmBytes(), ...longest };
}

async function settle(subject: SubjectId, database: string): Promise<Answers["settle"]> {
  const store = await openSubject(subject, database);
  const start = performance.now();
  await store.settle?.();
  const ms = performance.now() - start;
  await store.close();
  return { ms };
}

async function append(request: AppendRequest): Promise<Answers["append"]> {
  const store = await openSubject(request.subject, request.database);
  const reference = await openDatabase(`${request.database}-raw-put`, (fresh) =>
    fresh.createObjectStore("events", { autoIncrement: true }),
  );
  const before = eventsIn(store);
  const putsBefore = await keyCount(reference, "events");
  const ms: number[] = [];
  const raw: number[] = [];
  const until = performance.now() + request.budget;
  const appendOne = async (i: number) => {
    const start = performance.now();
    await store.append(extraEvent(i));
    ms.push(performance.now() - start);
  };
  const putOne = async (i: number) => {
    const start = performance.now();
    const transaction = reference.transaction("events", "readwrite", { durability: "strict" });
    transaction.objectStore("events").put(extraEvent(i));
    transaction.commit();
    await completeOf(transaction);
    raw.push(performance.now() - start);
  };
  for (let i = 0; i < request.count && performance.now() < until; i += 1) {
    // Who comes first takes turns: the second finds the disk warm.
    await (i % 2 === 0 ? appendOne(i) : putOne(i));
    await (i % 2 === 0 ? putOne(i) : appendOne(i));
  }
  const puts = (await keyCount(reference, "events")) - putsBefore;
  reference.close();
  same("appended events in the raw store", puts, raw.length);
  same("appended events in the state", eventsIn(store) - before, ms.length);
  await store.close();
  return { ms, raw };
}

async function burst(request: BurstRequest): Promise<Answers["burst"]> {
  const store = await openSubject(request.subject, request.database);
  const events = Array.from({ length: request.count }, (_, i) => extraEvent(i));
  const start = performance.now();
  await store.burst(events);
  const ms = performance.now() - start;
  same("appended events in the state", eventsIn(store), request.count);
  await store.close();
  const again = await openSubject(request.subject, request.database);
  same("appended events after reopening", eventsIn(again), request.count);
  await again.close();
  return { ms };
}

async function told(request: ToldRequest): Promise<Answers["told"]> {
  const store = await openSubject(request.subject, request.database);
  if (store.subscribe === undefined || store.command === undefined) {
    throw new Error(`${request.subject} has no subscribers`);
  }
  const key = `${EXTRA}told`;
  let wake: () => void = () => undefined;
  const stop = await store.subscribe(key, () => wake());
  const ms: number[] = [];
  const until = performance.now() + request.budget;
  for (let i = 0; i < request.count && performance.now() < until; i += 1) {
    const event = extraEvent(i, key);
    ms.push(
      await new Promise<number>((resolve) => {
        const start = performance.now();
        wake = () => resolve(performance.now() - start);
        store.command?.(event);
      }),
    );
    // The write of this one is not the next one's business.
    await turn();
  }
  wake = () => undefined;
  stop();
  await store.close();
  return { ms };
}

async function history(request: HistoryRequest): Promise<Answers["history"]> {
  const store = await openSubject(request.subject, request.database);
  const segments = await openDatabase(request.segments, () => undefined);
  const records = await openDatabase(request.records, () => undefined);
  const segmentCount = await keyCount(segments, "segments");
  const recordCount = await keyCount(records, "events");
  const random = seededRandom(1);
  const timed = async (samples: number[], work: () => Promise<unknown>) => {
    const start = performance.now();
    const result = await work();
    samples.push(performance.now() - start);
    return result;
  };
  const get = (database: IDBDatabase, name: string, count: number) => {
    const key = 1 + Math.floor(random() * count);
    return answerOf(database.transaction(name).objectStore(name).get(key));
  };
  const ms: number[] = [];
  const segmentGet: number[] = [];
  const recordGet: number[] = [];
  for (const [i, stream] of request.streams.entries()) {
    const found = await timed(ms, async () => store.history?.(stream));
    same(`events of ${stream}`, found, request.lengths[i]);
    const text = await timed(segmentGet, () => get(segments, "segments", segmentCount));
    if (typeof text !== "string") throw new WrongResult("a raw segment is missing");
    await timed(recordGet, () => get(records, "events", recordCount));
  }
  segments.close();
  records.close();
  await store.close();
  return { ms, segmentGet, recordGet };
}

async function state(request: StateRequest): Promise<Answers["state"]> {
  if (request.what === "write") {
    const { text } = await loadData(request.events, request.distinct);
    const rows = new Map<string, Loan>();
    for (const event of parseLines(text)) foldInto(rows, event);
    const database = await stateDatabase(request.database);
    const transaction = database.transaction("state", "readwrite");
    transaction.objectStore("state").put(JSON.stringify([...rows]), "loans");
    await completeOf(transaction);
    database.close();
    return { ms: 0 };
  }
  const start = performance.now();
  const database = await stateDatabase(request.database);
  const text = await answerOf(database.transaction("state").objectStore("state").get("loans"));
  const rows = new Map<string, Loan>(JSON.parse(text as string));
  const ms = performance.now() - start;
  checkDigest(digestOf(rows), request.expected);
  database.close();
  return { ms };
}

function stateDatabase(name: string): Promise<IDBDatabase> {
  return openDatabase(name, (fresh) => fresh.createObjectStore("state"));
}

async function reference(request: ReferenceRequest): Promise<Answers["reference"]> {
  const { text, source } = await loadData(request.events, request.distinct);
  const digest = referenceDigest(text);
  const lengths = new Map<string, number>();
  if (request.streams) {
    for (const { stream } of parseLines(text)) lengths.set(stream, (lengths.get(stream) ?? 0) + 1);
  }
  const all = [...lengths.keys()];
  const random = seededRandom(2);
  const streams = Array.from(
    { length: request.streams ?? 0 },
    () => all[Math.floor(random() * all.length)] ?? "",
  );
  return { digest, source, streams, lengths: streams.map((stream) => lengths.get(stream) ?? 0) };
}

async function rust(request: RustRequest): Promise<Answers["rust"]> {
  const fold = await loadRustFold();
  const { ms, digest } = await fold.open(request.database);
  checkDigest(digest(), request.expected);
  return { ms };
}

async function clean(part: string): Promise<Answers["clean"]> {
  await deleteDatabases(part);
  await deleteFolders(part);
  return {};
}

function eventsIn(store: Store): number {
  let events = 0;
  for (const [key, loan] of store.rows()) if (key.startsWith(EXTRA)) events += loan.events;
  return events;
}

function keyCount(database: IDBDatabase, name: string): Promise<number> {
  return answerOf(database.transaction(name).objectStore(name).count());
}

function same(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new WrongResult(`${what}: ${actual} instead of ${expected}`);
}
