import { describe, expect, it, vi } from "vitest";
import { projection } from "../src/define.js";
import { DIGEST, FakeDevice } from "./fake-core.js";
import { openLog, settled, thrownBy, todo } from "./fixtures.js";

const SECRET = "Call Ada";

const titles = projection({
  name: "titles",
  initial: [] as string[],
  evolve: (state, event) => [...state, (event.data as { title?: string }).title ?? event.type],
});

/** A device with three renamings of one todo, the second of which is a secret, and another todo. */
function device(): FakeDevice {
  const device = new FakeDevice();
  device.seed(
    [{ stream: "todo/a", type: "todo.added", data: { title: "Milk" } }],
    [{ stream: "todo/a", type: "todo.added", data: { title: SECRET } }],
    [{ stream: "todo/b", type: "todo.added", data: { title: "Bread" } }],
  );
  return device;
}

/** A server's erasure reaches an open log. */
async function erase(device: FakeDevice, stream: string, ...versions: number[]): Promise<void> {
  device.erase(stream, versions);
  await settled();
}

describe("an erased event", () => {
  it("was not there for any fold, and no fold throws", async () => {
    const before = device();
    before.erase("todo/a", [2]);
    const { log } = await openLog(before);
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({
      version: 3,
      state: { title: "Milk" },
      lastType: "todo.added",
    });
    const fold = log.fold(titles);
    await vi.waitFor(() => expect(fold.getSnapshot()).toEqual(["Milk", "Bread"]));
    expect(log.status.getSnapshot().error).toBeUndefined();
    expect(log.status.getSnapshot().unfolded).toEqual([]);
    expect(log.todo("a").complete().ok).toBe(true);
  });

  it("is read without its payload, and says so", async () => {
    const before = device();
    before.erase("todo/a", [2]);
    const { log } = await openLog(before);
    const [, erased, redaction] = await log.todo("a").history();
    expect(erased).toMatchObject({ type: "todo.added", version: 2, erased: true });
    expect(erased).not.toHaveProperty("data");
    expect(redaction).toMatchObject({ type: "tidelog.redacted", data: { versions: [[2, 2]] } });
    const lines = (await new Response(log.export()).text()).trim().split("\n");
    expect(JSON.parse(lines[1] ?? "")).toMatchObject({ version: 2, erased: DIGEST });
    expect(lines[1]).not.toContain('"data"');
    const past = await log.at({ position: 2 });
    expect(past.row(todo, "a")).toMatchObject({ version: 2, state: { title: "Milk" } });
  });

  it("cannot be taken back", async () => {
    const before = device();
    before.erase("todo/a", [2]);
    const { log } = await openLog(before);
    const [, erased] = await log.todo("a").history();
    await expect(log.undo(erased?.commitId ?? "")).rejects.toMatchObject({
      code: "nothing_to_undo",
      message: expect.stringContaining("was erased"),
    });
  });
});

describe("an erasure in an open log", () => {
  it("has every fold made again, and tells only the rows that changed", async () => {
    const data = device();
    const { log } = await openLog(data);
    const fold = log.fold(titles);
    fold.subscribe(() => undefined);
    await vi.waitFor(() => expect(fold.getSnapshot()).toHaveLength(3));
    const [a, b] = [vi.fn(), vi.fn()];
    log.row(todo, "a").subscribe(a);
    log.row(todo, "b").subscribe(b);
    const bread = log.row(todo, "b").getSnapshot();
    await erase(data, "todo/a", 2);
    await vi.waitFor(() => expect(log.row(todo, "a").getSnapshot()?.state.title).toBe("Milk"));
    await vi.waitFor(() => expect(fold.getSnapshot()).toEqual(["Milk", "Bread"]));
    expect(a).toHaveBeenCalled();
    expect(a.mock.lastCall?.[0]).toMatchObject({ version: 3, state: { title: "Milk" } });
    expect(b).not.toHaveBeenCalled();
    expect(log.row(todo, "b").getSnapshot()).toBe(bread);
    expect(log.status.getSnapshot().reset).toBeUndefined();
  });

  it("never empties the screen, and takes commands meanwhile", async () => {
    const data = device();
    const { log } = await openLog(data);
    const shown: number[] = [];
    log.rows(todo).subscribe((rows) => shown.push(rows.length));
    data.erase("todo/a", [2]);
    log.todo("b").rename({ title: "Rye" });
    await vi.waitFor(() => expect(log.row(todo, "a").getSnapshot()?.state.title).toBe("Milk"));
    expect(log.todo("b").state.title).toBe("Rye");
    expect(shown.length).toBeGreaterThan(0);
    expect(shown.every((rows) => rows === 2)).toBe(true);
  });

  it("leaves no snapshot of what was folded before", async () => {
    const data = device();
    const { log } = await openLog(data);
    await expect(log.storage.snapshot()).resolves.toBe(true);
    data.erase("todo/a", [2]);
    const early = await log.storage.snapshot();
    const texts = () => [...data.snapshots.values()].flatMap((saved) => [...saved.texts.values()]);
    expect(texts().join()).not.toContain(SECRET);
    await vi.waitFor(() => expect(log.row(todo, "a").getSnapshot()?.state.title).toBe("Milk"));
    if (!early) await expect(log.storage.snapshot()).resolves.toBe(true);
    expect(texts().join()).toContain("Bread");
    expect(texts().join()).not.toContain(SECRET);
  });
});

it("a kind whose events only a server makes cannot be declared", async () => {
  const { stream } = await import("../src/define.js");
  const declare = () => stream("tidelog", { initial: 0, events: {}, evolve: {} });
  expect(thrownBy(declare)).toMatchObject({ code: "invalid_definition" });
});
