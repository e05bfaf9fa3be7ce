import { describe, expect, it, vi } from "vitest";
import { bucketCount, bucketOf, bucketToText, textToBucket } from "../src/buckets.js";
import { projection, stream } from "../src/define.js";
import { createLogWith } from "../src/log.js";
import { notPlain } from "../src/plain.js";
import type { Status } from "../src/types.js";
import { FakeDevice, type FakeEvent } from "./fake-core.js";
import { fakeLog, loan, note, openLog, settled, thrownBy, todo } from "./fixtures.js";

const added = (key: string, title = key): FakeEvent[] => [
  { stream: `todo/${key}`, type: "todo.added", data: { title } },
];
const completed = (key: string): FakeEvent[] => [
  { stream: `todo/${key}`, type: "todo.completed", data: {} },
];
const counts = projection({
  name: "counts",
  initial: { events: 0 },
  evolve: ({ events }) => ({ events: events + 1 }),
});

/** A device whose log was opened once, with so many todos, and whose folds were saved. */
async function savedDevice(todos: number, fold = false): Promise<FakeDevice> {
  const device = new FakeDevice();
  device.batchSize = 100;
  for (let i = 0; i < todos; i++) device.seed(added(`t${i}`));
  const { log } = fakeLog(device);
  if (fold) log.fold(counts);
  await log.ready();
  await expect(log.storage.snapshot()).resolves.toBe(true);
  await log.close();
  return device;
}

function rowsOf({ log }: Awaited<ReturnType<typeof openLog>>) {
  return log.rows(todo, { orderBy: "title" }).getSnapshot();
}

describe("opening from a snapshot", () => {
  it("folds only what came after it, and shows the same as a whole replay", async () => {
    const device = await savedDevice(700);
    device.seed(completed("t3"), added("new"));
    const opened = await openLog(device);
    expect(device.reads).toBe(0);
    const rows = rowsOf(opened);
    expect(rows).toHaveLength(701);
    expect(opened.log.todo("t3").state.done).toBe(true);
    await device.core?.forgetSnapshots();
    await opened.log.close();
    const replayed = await openLog(device);
    expect(rowsOf(replayed)).toEqual(rows);
  });

  it("says truthfully how much is replayed", async () => {
    const device = await savedDevice(700);
    device.seed(completed("t3"));
    const { log } = fakeLog(device);
    const replayed: Status["replayed"][] = [];
    log.status.subscribe((status) => replayed.push(status.replayed));
    await log.ready();
    for (const progress of replayed) expect(progress?.done ?? 0).toBeLessThanOrEqual(1);
    expect(log.status.getSnapshot()).toMatchObject({ position: 701, phase: "local" });
  });

  it("works when nothing came after it", async () => {
    const opened = await openLog(await savedDevice(5));
    expect(rowsOf(opened)).toHaveLength(5);
    opened.log.todo("t1").complete();
    opened.core.confirm();
    await settled();
    expect(opened.log.todo("t1").state.done).toBe(true);
    expect(opened.log.status.getSnapshot().position).toBe(6);
  });

  it("takes commands on the restored state, and projections with it", async () => {
    const device = await savedDevice(5, true);
    const { log } = fakeLog(device);
    const fold = log.fold(counts);
    await log.ready();
    expect(log.todo("t2").add({ title: "again" })).toMatchObject({ ok: false });
    expect(log.todo("t2").complete().ok).toBe(true);
    expect(fold.getSnapshot()).toEqual({ events: 6 });
    expect(device.reads).toBe(0);
  });

  it.each<[string, (device: FakeDevice) => void]>([
    ["is of another fold version", (device) => edit(device, (saved) => ({ ...saved, version: 9 }))],
    ["is damaged", (device) => edit(device, (saved) => ({ ...saved, texts: new Map([[0, "{"]]) }))],
    [
      "has buckets that do not fit together",
      (device) => {
        const text = bucketToText({ bucket: 0, buckets: 8, rows: [] });
        edit(device, (saved) => ({ ...saved, texts: new Map([...saved.texts, [9, text]]) }));
      },
    ],
    ["is gone", (device) => device.snapshots.delete("rows/todo")],
    [
      "is older than the others",
      (device) => edit(device, (saved) => ({ ...saved, position: 1, texts: textsOfFirst() })),
    ],
  ])("folds from the log where the one of a kind %s", async (_, spoil) => {
    const device = await savedDevice(300);
    device.seed(completed("t3"));
    spoil(device);
    const opened = await openLog(device);
    expect(device.reads).toBeGreaterThan(0);
    expect(rowsOf(opened)).toHaveLength(300);
    expect(opened.log.todo("t3").state.done).toBe(true);
  });

  it("folds anew where the code knows an event by now that it did not know then", async () => {
    const device = new FakeDevice();
    device.seed(added("a"), [{ stream: "todo/a", type: "todo.painted", data: { title: "red" } }]);
    const before = await openLog(device);
    expect(before.log.status.getSnapshot().unfolded).toHaveLength(1);
    await before.log.storage.snapshot();
    await before.log.close();
    const same = await openLog(device);
    expect(same.log.status.getSnapshot().unfolded).toMatchObject([{ type: "todo.painted" }]);
    expect(device.reads).toBe(0);
    await same.log.close();
    const newer = stream("todo", {
      prefix: "",
      events: {},
      initial: "",
      evolve: (state, event) => `${state}${event.name} `,
    });
    const log = createLogWith({ name: "test", streams: { todo: newer } }, device.factory);
    await log.ready();
    expect(log.todo("a").state).toBe("todo.added todo.painted ");
  });

  it("is refused while older events cannot be had, and works when they can", async () => {
    const device = await savedDevice(20);
    device.pruned = 10;
    device.online = false;
    device.snapshots.delete("rows/todo");
    const { log } = fakeLog(device);
    await expect(log.ready()).rejects.toMatchObject({ code: "history_not_available" });
    expect(log.status.getSnapshot().phase).toBe("error");
    device.online = true;
    await log.ready();
    expect(log.rows(todo).getSnapshot()).toHaveLength(20);
  });

  it("is not tried with snapshots: false", async () => {
    const device = await savedDevice(20);
    const log = createLogWith(
      { name: "test", streams: { todo, note, loan }, snapshots: false },
      device.factory,
    );
    await log.ready();
    expect(device.core?.options).toMatchObject({ snapshots: false, folds: [] });
    await expect(log.storage.snapshot()).resolves.toBe(false);
    expect(log.rows(todo).getSnapshot()).toHaveLength(20);
  });
});

describe("a log that begins again behind its snapshots", () => {
  it("goes on with them, and rows that did not change stay the same", async () => {
    const device = await savedDevice(50);
    const { log, core } = await openLog(device);
    log.todo("mine").add({ title: "mine" });
    const told = vi.fn();
    log.row(todo, "t1").subscribe(told);
    device.seed(completed("t3"));
    core.beginAgain();
    await settled();
    expect(device.reads).toBe(0);
    expect(log.rows(todo).getSnapshot()).toHaveLength(51);
    expect(log.todo("t3").state.done).toBe(true);
    expect(log.status.getSnapshot()).toMatchObject({ phase: "local", position: 51 });
    core.beginAgain();
    expect(log.todo("t4").complete().ok).toBe(true);
  });

  it("takes no commands until a kind without a snapshot is built", async () => {
    const device = await savedDevice(50);
    const { log, core } = await openLog(device);
    device.snapshots.delete("rows/todo");
    device.pruned = 10;
    core.beginAgain();
    expect(thrownBy(() => log.todo("t4").complete())).toMatchObject({ code: "not_ready" });
    expect(log.status.getSnapshot().phase).toBe("opening");
    await log.ready();
    expect(device.reads).toBeGreaterThan(0);
    expect(log.todo("t4").complete().ok).toBe(true);
    expect(log.rows(todo).getSnapshot()).toHaveLength(50);
  });

  it("is in error while that cannot be read, and opens when it can", async () => {
    const device = await savedDevice(50);
    const { log, core } = await openLog(device);
    device.snapshots.delete("rows/todo");
    Object.assign(device, { pruned: 10, online: false });
    core.beginAgain();
    await vi.waitFor(() => expect(log.status.getSnapshot().phase).toBe("error"));
    await expect(log.ready()).rejects.toMatchObject({ code: "history_not_available" });
    device.online = true;
    await log.ready();
    expect(log.rows(todo).getSnapshot()).toHaveLength(50);
  });
});

describe("saving", () => {
  it("writes again only the buckets that hold a changed row", async () => {
    const device = await savedDevice(2000);
    const { log, core } = await openLog(device);
    const before = device.snapshots.get("rows/todo");
    expect(before?.texts.size).toBeGreaterThan(4);
    log.todo("t7").complete();
    core.confirm();
    const save = vi.spyOn(core, "saveSnapshot");
    await log.storage.snapshot();
    const [, folds] = save.mock.calls[0] ?? [];
    const saved = folds?.find(({ name }) => name === "rows/todo");
    expect(saved).toMatchObject({ whole: false, buckets: before?.buckets });
    expect(saved?.changed.map(({ bucket }) => bucket)).toEqual([
      bucketOf("t7", before?.buckets ?? 0),
    ]);
  });

  it("does so when it is due and the page is idle", async () => {
    const device = new FakeDevice();
    for (let i = 0; i < 1200; i++) device.seed(added(`t${i}`));
    await openLog(device);
    await vi.waitFor(() => expect(device.heads).toBe(1200));
  });

  it("is given up when something is confirmed meanwhile, and done again", async () => {
    const device = new FakeDevice();
    for (let i = 0; i < 10; i++) device.seed(added(`t${i}`));
    const { log, core } = await openLog(device);
    device.beforeSave = () => {
      device.beforeSave = () => undefined;
      core.pull(added("late"));
    };
    await expect(log.storage.snapshot()).resolves.toBe(true);
    await log.close();
    const again = await openLog(device);
    expect(device.reads).toBe(0);
    expect(rowsOf(again)).toHaveLength(11);
  });

  it("waits until nothing is being written", async () => {
    const device = await savedDevice(10);
    const { log, core } = await openLog(device);
    core.pull(added("late"));
    device.writing = true;
    await expect(log.storage.snapshot()).resolves.toBe(true);
    expect(device.heads).toBe(11);
  });

  it("that is refused twice is whole the next time", async () => {
    const device = await savedDevice(10);
    const { log, core } = await openLog(device);
    core.pull(completed("t1"));
    await settled();
    device.refuseSave = true;
    await expect(log.storage.snapshot()).resolves.toBe(false);
    device.refuseSave = false;
    const save = vi.spyOn(core, "saveSnapshot");
    await expect(log.storage.snapshot()).resolves.toBe(true);
    expect(save.mock.calls[0]?.[1].find(({ name }) => name === "rows/todo")?.whole).toBe(true);
  });

  it("leaves a fold out whose state JSON cannot keep, and says why", async () => {
    const dated = stream("todo", {
      events: {},
      prefix: "",
      initial: { at: undefined as Date | undefined },
      evolve: (_state, event) => ({ at: new Date(event.occurredAt) }),
    });
    const device = new FakeDevice();
    device.seed(added("a"));
    const log = createLogWith({ name: "test", streams: { todo: dated, note } }, device.factory);
    await log.ready();
    await expect(log.storage.snapshot()).resolves.toBe(true);
    expect([...device.snapshots.keys()]).toEqual(["rows/note"]);
    expect(log.status.getSnapshot().unsaved).toEqual([
      { name: "rows/todo", problem: expect.stringMatching(/todo\/a .* instance of Date/) },
    ]);
  });

  it("tells projections of the same name apart, and saves the first", async () => {
    const device = new FakeDevice();
    device.seed(added("a"));
    const other = projection({ name: "counts", initial: "", evolve: (text) => `${text}x` });
    const open = async () => {
      const { log } = fakeLog(device);
      const folds = [log.fold(counts), log.fold(other)];
      await log.ready();
      await vi.waitFor(() =>
        expect(folds.map((fold) => fold.getSnapshot())).toEqual([{ events: 1 }, "x"]),
      );
      return log;
    };
    const log = await open();
    await expect(log.storage.snapshot()).resolves.toBe(true);
    expect(log.status.getSnapshot().unsaved).toMatchObject([{ name: "fold/counts" }]);
    await log.close();
    await open();
  });

  it("leaves a fold out that threw, so that mended code folds it anew", async () => {
    const device = new FakeDevice();
    device.seed(added("a"), [{ stream: "todo/a", type: "todo.cursed", data: {} }]);
    const { log } = await openLog(device);
    await log.storage.snapshot();
    expect(device.snapshots.has("rows/todo")).toBe(false);
    expect(device.snapshots.has("rows/note")).toBe(true);
    expect(log.status.getSnapshot().unsaved).toMatchObject([{ name: "rows/todo" }]);
  });
});

describe("buckets", () => {
  it("grow by powers of two, and hold every key in one place", () => {
    expect(bucketCount(0, 0)).toBe(1);
    expect(bucketCount(13_087, 0)).toBe(128);
    expect(bucketCount(256 * 128, 128)).toBe(128);
    expect(bucketCount(256 * 128 + 1, 128)).toBe(512);
    const filled = new Map<number, number>();
    for (let i = 0; i < 13_087; i++) {
      const bucket = bucketOf(String(173_688 + 3 * i), 128);
      filled.set(bucket, (filled.get(bucket) ?? 0) + 1);
    }
    expect(filled.size).toBe(128);
    expect(Math.max(...filled.values())).toBeLessThan(256);
  });

  it("come back as they were", () => {
    const rows = [["k", 1, 2, 3, "todo.added", { title: "Ünï \u2028" }] as const];
    const bucket = { bucket: 3, buckets: 8, rows };
    expect(textToBucket(bucketToText(bucket))).toEqual(bucket);
    expect(() => textToBucket('{"bucket":1,"buckets":2,"rows":[["k"]]}')).toThrow("bucket");
  });
});

describe("plain JSON", () => {
  const loop: { self?: unknown } = {};
  loop.self = loop;

  it.each<[unknown]>([[null], ["x"], [1.5], [[1, [2]]], [{ a: { b: undefined } }], [{}]])(
    "%j is",
    (value) => expect(notPlain(value)).toBeUndefined(),
  );

  it.each<[string, unknown]>([
    ["a Date", new Date(0)],
    ["a Map", { m: new Map() }],
    ["NaN", Number.NaN],
    ["minus zero", -0],
    ["infinity", [Number.POSITIVE_INFINITY]],
    ["undefined", undefined],
    ["a list with undefined", [undefined]],
    ["a list with holes", new Array(2)],
    ["a function", { f: () => 1 }],
    ["a bigint", 1n],
    ["a symbol property", { [Symbol.iterator]: 1 }],
    ["a null prototype", Object.create(null)],
    ["a class", new (class Point {})()],
    ["a toJSON", { toJSON: () => 1 }],
    ["a loop", loop],
  ])("%s is not", (_, value) => expect(notPlain(value)).toEqual(expect.any(String)));
});

function edit(
  device: FakeDevice,
  change: (
    saved: NonNullable<ReturnType<FakeDevice["snapshots"]["get"]>>,
  ) => NonNullable<ReturnType<FakeDevice["snapshots"]["get"]>>,
): void {
  const saved = device.snapshots.get("rows/todo");
  if (saved === undefined) throw new Error("nothing was saved");
  device.snapshots.set("rows/todo", change(saved));
}

function textsOfFirst(): Map<number, string> {
  const state = { title: "t0", done: false };
  const rows = [["t0", 1, 1000, 1000, "todo.added", state] as const];
  return new Map([[0, bucketToText({ bucket: 0, buckets: 1, rows })]]);
}
