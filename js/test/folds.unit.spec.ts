import { describe, expect, it, vi } from "vitest";
import { projection } from "../src/define.js";
import { FoldError } from "../src/errors.js";
import { FakeDevice } from "./fake-core.js";
import { loan, openLog, settled, thrownBy, todo } from "./fixtures.js";

const counts = projection({
  name: "counts",
  initial: { events: 0, titles: [] as string[] },
  evolve: (state, event) => ({
    events: state.events + 1,
    titles:
      event.type === "todo.renamed"
        ? [...state.titles, (event.data as { title: string }).title]
        : state.titles,
  }),
});

describe("a fold", () => {
  it("that throws keeps the last good state, says so, and the rest goes on", async () => {
    const { log } = await openLog();
    log.todo("a").add({ title: "Milk" });
    log.todo("a").curse();
    log.todo("b").add({ title: "Bread" });
    expect(log.todo("a").state).toEqual({ title: "Milk", done: false });
    expect(log.todo("b").version).toBe(1);
    const { error, phase } = log.status.getSnapshot();
    expect(phase).toBe("local");
    expect(error).toBeInstanceOf(FoldError);
    expect(error).toMatchObject({
      code: "fold_failed",
      fields: { fold: "todo", type: "todo.cursed", stream: "todo/a", version: 2 },
    });
  });

  it("sees old payloads upcast", async () => {
    const device = new FakeDevice();
    device.seed([
      { stream: "todo/a", type: "todo.added", data: { title: "Milk" } },
      { stream: "todo/a", type: "todo.renamed", data: { name: "Rye" }, schema: 1 },
    ]);
    const { log } = await openLog(device);
    expect(log.todo("a").state.title).toBe("Rye");
    expect(log.fold(counts).getSnapshot().titles).toEqual([]);
    const fold = log.fold(counts);
    await new Promise<void>((resolve) => fold.subscribe(() => resolve()));
    expect(fold.getSnapshot()).toEqual({ events: 2, titles: ["Rye"] });
    await expect(log.todo("a").history()).resolves.toMatchObject([
      {},
      { data: { name: "Rye" }, schema: 1 },
    ]);
  });

  it.each([
    ["an unknown type", { type: "todo.teleported", schema: 1 }],
    ["a newer schema", { type: "todo.added", schema: 2 }],
  ])("leaves %s alone and blocks the stream for commands", async (_, { type, schema }) => {
    const device = new FakeDevice();
    device.seed([
      { stream: "todo/a", type: "todo.added", data: { title: "Milk" } },
      { stream: "todo/a", type, schema, data: { whatever: 1 } },
    ]);
    const { log } = await openLog(device);
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({
      version: 2,
      state: { title: "Milk", done: false },
    });
    expect(log.status.getSnapshot().unfolded).toEqual([{ stream: "todo/a", type, schema }]);
    expect(thrownBy(() => log.todo("a").complete())).toMatchObject({ code: "stream_blocked" });
    expect(log.todo("b").add({ title: "Bread" }).ok).toBe(true);
  });

  it("given as a function sees every type of its kind", async () => {
    const device = new FakeDevice();
    device.seed([{ stream: "loan/1", type: "A_SUBMITTED.complete", data: {} }]);
    const { log } = await openLog(device);
    expect(log.row(loan, "1").getSnapshot()?.state).toEqual({
      last: "A_SUBMITTED.complete",
      events: 1,
    });
    log.append([{ stream: "loan/1", type: "A_APPROVED.complete", data: {} }]);
    expect(log.loan("1").state.events).toBe(2);
  });

  it("of the whole log counts what is pending, and takes it back when it fails", async () => {
    const { log, core } = await openLog();
    const fold = log.fold(counts);
    expect(log.fold(counts)).toBe(fold);
    const told = vi.fn();
    fold.subscribe(told);
    log.todo("a").add({ title: "Milk" });
    log.note("n").write({ text: "x" });
    expect(fold.getSnapshot().events).toBe(2);
    expect(told).toHaveBeenCalledTimes(2);
    core.failWrite({ code: "quota_exceeded", message: "full" });
    await settled();
    expect(fold.getSnapshot().events).toBe(0);
  });

  it("that comes late reads the log again and then follows it", async () => {
    const device = new FakeDevice();
    device.batchSize = 3;
    for (let i = 0; i < 10; i++) {
      device.seed([{ stream: `todo/${i}`, type: "todo.added", data: { title: "x" } }]);
    }
    const { log, core } = await openLog(device);
    const fold = log.fold(counts);
    log.todo("mine").add({ title: "y" });
    const events = () => fold.getSnapshot().events;
    core.pull([{ stream: "todo/11", type: "todo.added", data: { title: "x" } }]);
    await vi.waitFor(() => expect(events()).toBe(12));
    core.confirm();
    await settled();
    expect(events()).toBe(12);
  });

  it("that calls the log is refused", async () => {
    const { log } = await openLog();
    const naughty = projection({
      name: "naughty",
      initial: 0,
      evolve: (n) => {
        log.todo("x").add({ title: "from a fold" });
        return n + 1;
      },
    });
    log.fold(naughty);
    log.todo("a").add({ title: "Milk" });
    expect(log.status.getSnapshot().error).toMatchObject({
      code: "fold_failed",
      cause: { code: "reentrant_call" },
    });
    expect(log.todo("x").version).toBe(0);
  });
});

describe("a view of the past", () => {
  it("shows the state as of a position or a time, commits whole", async () => {
    const device = new FakeDevice();
    device.batchSize = 1;
    device.seed(
      [{ stream: "todo/a", type: "todo.added", data: { title: "Milk" } }],
      [
        { stream: "todo/a", type: "todo.completed", data: {} },
        { stream: "todo/b", type: "todo.added", data: { title: "Bread" } },
      ],
    );
    const { log } = await openLog(device);
    log.todo("c").add({ title: "pending" });
    const first = await log.at({ position: 2 });
    expect(first.position).toBe(1);
    expect(first.rows(todo)).toMatchObject([{ key: "a", state: { done: false } }]);
    const second = await log.at({ position: 3 });
    expect(second.row(todo, "a")).toMatchObject({ version: 2, state: { done: true } });
    expect(second.row(todo, "c")).toBeUndefined();
    const early = await log.at({ time: new Date(1_000_001) });
    expect(early.rows(todo, { where: { done: false } })).toHaveLength(1);
  });
});
