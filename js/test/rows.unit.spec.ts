import { describe, expect, it, vi } from "vitest";
import { FakeDevice } from "./fake-core.js";
import { fakeLog, openLog, settled, todo } from "./fixtures.js";

const added = (key: string, title: string) => [
  { stream: `todo/${key}`, type: "todo.added", data: { title } },
];

describe("rows", () => {
  it("are empty until the log is open, and opening starts with the first subscriber", async () => {
    const device = new FakeDevice();
    device.seed(added("a", "Milk"));
    const { log } = fakeLog(device);
    const rows = log.rows(todo);
    expect(rows.getSnapshot()).toEqual([]);
    expect(device.opens).toBe(0);
    const told = vi.fn();
    rows.subscribe(told);
    await log.ready();
    expect(device.opens).toBe(1);
    expect(told).toHaveBeenLastCalledWith([
      expect.objectContaining({ key: "a", version: 1, sync: "synced" }),
    ]);
  });

  it("keep their identity while nothing about them changes", async () => {
    const { log } = await openLog();
    log.todo("a").add({ title: "Milk" });
    log.todo("b").add({ title: "Bread" });
    const rows = log.rows(todo, { orderBy: "title" });
    const before = rows.getSnapshot();
    expect(rows.getSnapshot()).toBe(before);
    log.todo("a").complete();
    const after = rows.getSnapshot();
    expect(after).not.toBe(before);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });

  it("of equal queries are one object", async () => {
    const { log } = await openLog();
    expect(log.rows(todo, { where: { done: false, title: "x" } })).toBe(
      log.rows(todo, { where: { title: "x", done: false } }),
    );
    expect(log.rows(todo, { limit: 1 })).not.toBe(log.rows(todo, { limit: 2 }));
    expect(log.rows(todo, { where: { title: "1" } })).not.toBe(
      log.rows(todo, { where: { title: 1 as unknown as string } }),
    );
  });

  it.each(["watched", "only read"])(
    "follow a query that is %s through every change",
    async (how) => {
      const { log, core } = await openLog();
      const open = log.rows(todo, { where: { done: false }, orderBy: "title", limit: 2 });
      if (how === "watched") open.subscribe(() => undefined);
      const titles = () => open.getSnapshot().map((row) => row.state.title);
      for (const title of ["d", "b", "c", "a"]) log.todo(title).add({ title });
      expect(titles()).toEqual(["a", "b"]);
      log.todo("a").complete();
      expect(titles()).toEqual(["b", "c"]);
      log.todo("b").rename({ title: "z" });
      expect(titles()).toEqual(["c", "d"]);
      core.failWrite({ code: "quota_exceeded", message: "full" });
      await settled();
      expect(titles()).toEqual([]);
    },
  );

  it("are told only of what they select", async () => {
    const { log } = await openLog();
    log.todo("a").add({ title: "Milk" });
    log.todo("b").add({ title: "Bread" });
    const [ofA, ofDone, ofNotes] = [vi.fn(), vi.fn(), vi.fn()];
    log.row(todo, "a").subscribe(ofA);
    log.rows(todo, { where: { done: true } }).subscribe(ofDone);
    log.todo("b").rename({ title: "Rye" });
    log.note("n").write({ text: "x" });
    expect(ofA).not.toHaveBeenCalled();
    expect(ofDone).not.toHaveBeenCalled();
    log.todo("a").complete();
    expect(ofA).toHaveBeenCalledTimes(1);
    expect(ofDone).toHaveBeenCalledTimes(1);
    expect(ofNotes).not.toHaveBeenCalled();
  });

  it("end with their subscription, and a listener that throws stops nobody", async () => {
    const { log } = await openLog();
    const thrown = vi.fn();
    const unhandled = vi.spyOn(globalThis, "queueMicrotask").mockImplementation(thrown);
    const told = vi.fn();
    log.row(todo, "a").subscribe(() => {
      throw new Error("the app's own");
    });
    const end = log.row(todo, "a").subscribe(told);
    log.todo("a").add({ title: "Milk" });
    end();
    log.todo("a").complete();
    unhandled.mockRestore();
    expect(told).toHaveBeenCalledTimes(1);
    expect(thrown).toHaveBeenCalled();
  });

  it("with a test that throws give the throw to who reads them", async () => {
    const { log } = await openLog();
    const where = () => {
      throw new Error("no");
    };
    const rows = log.rows(todo, { where });
    rows.subscribe(() => undefined);
    expect(log.todo("a").add({ title: "Milk" }).ok).toBe(true);
    expect(() => rows.getSnapshot()).toThrow("no");
  });

  it("come in the order of creation, or as a comparison says", async () => {
    const device = new FakeDevice();
    device.seed(added("z", "1"), added("y", "2"), added("x", "3"));
    const { log } = await openLog(device);
    const keys = (query?: Parameters<typeof log.rows<typeof todo>>[1]) =>
      log
        .rows(todo, query)
        .getSnapshot()
        .map((row) => row.key)
        .join("");
    expect(keys()).toBe("zyx");
    expect(keys({ direction: "desc" })).toBe("xyz");
    expect(keys({ orderBy: (a, b) => b.createdAt - a.createdAt })).toBe("xyz");
    expect(keys({ where: (row) => row.key !== "y" })).toBe("zx");
  });
});
