import { describe, expect, it, vi } from "vitest";
import { StorageError } from "../src/errors.js";
import { createLogWith } from "../src/log.js";
import type { Status } from "../src/types.js";
import { toBatch } from "./columns.js";
import { FakeDevice } from "./fake-core.js";
import { fakeLog, note, openLog, settled, thrownBy, todo } from "./fixtures.js";

const theirs = (type: string, data: object, key = "a") => [
  { stream: `todo/${key}`, type: `todo.${type}`, data, schema: type === "renamed" ? 2 : 1 },
];

describe("a receipt", () => {
  it("is durable when the write is complete and settles when the commit is confirmed", async () => {
    const { log, core } = await openLog();
    const states: string[] = [];
    const receipt = log.todo("a").add({ title: "Milk" });
    receipt.durable.then(() => states.push("durable"));
    receipt.settled.then(({ state }) => states.push(state));
    await settled();
    expect(states).toEqual([]);
    core.write();
    await settled();
    expect(states).toEqual(["durable"]);
    expect(log.row(todo, "a").getSnapshot()?.sync).toBe("pending");
    core.confirm();
    await expect(receipt.settled).resolves.toEqual({ state: "confirmed", position: 1 });
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({ version: 1, sync: "synced" });
  });

  it("of a write that failed says so, and its events leave the screen", async () => {
    const { log, core } = await openLog();
    const receipt = log.todo("a").add({ title: "Milk" });
    core.failWrite({ code: "quota_exceeded", message: "full" });
    await expect(receipt.durable).rejects.toBeInstanceOf(StorageError);
    await expect(receipt.settled).resolves.toMatchObject({
      state: "failed",
      error: { code: "quota_exceeded" },
    });
    expect(log.rows(todo).getSnapshot()).toEqual([]);
  });

  it("of an unknown outcome says so", async () => {
    const { log, core } = await openLog();
    const receipt = log.todo("a").add({ title: "Milk" });
    core.notify({ kind: "receipt", id: receipt.id, state: "unknown" });
    await expect(receipt.settled).resolves.toEqual({ state: "unknown" });
    await expect(receipt.durable).rejects.toMatchObject({ code: "unknown_outcome" });
  });

  it("can be had again after a reload", async () => {
    const { log, core, device } = await openLog();
    const { id } = log.todo("a").add({ title: "Milk" });
    core.write();
    await log.close();
    const again = await openLog(device);
    expect(again.log.todo("a").state.title).toBe("Milk");
    const receipt = again.log.receipt(id);
    await receipt.durable;
    again.core.confirm();
    await expect(receipt.settled).resolves.toMatchObject({ state: "confirmed" });
    await expect(again.log.receipt(id).settled).resolves.toMatchObject({ position: 1 });
    await expect(again.log.receipt("nothing").settled).resolves.toMatchObject({
      state: "failed",
      error: { code: "not_stored" },
    });
  });

  it("that is open when the log closes ends as unknown", async () => {
    const { log, core } = await openLog();
    const receipt = log.todo("a").add({ title: "Milk" });
    core.write();
    await log.close();
    await expect(receipt.durable).resolves.toBeUndefined();
    await expect(receipt.settled).resolves.toEqual({ state: "unknown" });
  });
});

describe("others' events", () => {
  it("are folded beneath what is pending, and subscribers are told once", async () => {
    const { log, core } = await openLog();
    log.todo("a").add({ title: "Milk" });
    core.confirm();
    await settled();
    log.todo("a").rename({ title: "Rye" });
    const told = vi.fn();
    log.rows(todo).subscribe(told);
    core.pull(theirs("renamed", { title: "Theirs" }), theirs("completed", {}));
    await settled();
    expect(told).toHaveBeenCalledTimes(1);
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({
      version: 4,
      sync: "pending",
      state: { title: "Rye", done: true },
    });
  });

  it("make a command decide again, on the same time and ids", async () => {
    const { log, core } = await openLog();
    const { id } = log.todo("a").stamp();
    const title = log.todo("a").state.title;
    const occurredAt = log.row(todo, "a").getSnapshot()?.updatedAt;
    const asked = vi.spyOn(core, "queuedVersions");
    core.pull(theirs("completed", {}));
    await settled();
    // The events that were decided here do not come back.
    expect(asked.mock.calls).toEqual([[id]]);
    expect(core.answers).toMatchObject([{ id, answer: { events: [{ type: "todo.added" }] } }]);
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({
      version: 2,
      updatedAt: occurredAt,
      state: { title, done: true },
    });
  });

  it("let a rerun see what is pending before it, and nothing after it", async () => {
    const { log, core } = await openLog();
    core.pull(theirs("added", { title: "Milk" }));
    await settled();
    const first = log.todo("a").completeOnce();
    log.todo("a").append([{ type: "todo.reopened", data: {} }]);
    core.pull(theirs("renamed", { title: "Rye" }));
    await settled();
    expect(core.answers).toMatchObject([{ id: first.id, answer: { events: [{}] } }]);
    expect(log.todo("a").state).toEqual({ title: "Rye", done: false });
  });

  it("park a command that is refused on rerun", async () => {
    const { log, core } = await openLog();
    const receipt = log.todo("a").add({ title: "Mine" });
    core.pull(theirs("added", { title: "Theirs" }));
    await expect(receipt.settled).resolves.toMatchObject({
      state: "parked",
      reason: { code: "exists", message: "There is one already" },
    });
    await settled();
    expect(log.parked.getSnapshot()).toMatchObject([
      {
        id: receipt.id,
        reason: { code: "refused", cause: "exists" },
        mine: [{ type: "todo.added", data: { title: "Mine" } }],
        command: { stream: "todo/a", name: "add", args: { title: "Mine" } },
      },
    ]);
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({
      version: 1,
      sync: "conflict",
      state: { title: "Theirs" },
    });
  });

  it("park a command that the code no longer has", async () => {
    const { log, device, core } = await openLog();
    log.note("n").write({ text: "x" });
    core.write();
    await log.close();
    const later = createLogWith({ name: "test", streams: { todo } }, device.factory);
    await later.ready();
    device.core?.pull([{ stream: "note/n", type: "note.written", data: { text: "y" } }]);
    await settled();
    expect(later.parked.getSnapshot()).toMatchObject([{ reason: { code: "unknown_command" } }]);
  });
});

describe("a parked commit", () => {
  async function parkedLog() {
    const opened = await openLog();
    const { log, core } = opened;
    core.pull(theirs("added", { title: "Milk" }));
    await settled();
    const receipt = log.todo("a").seen(1).rename({ title: "Mine" });
    core.pull(theirs("renamed", { title: "Theirs" }));
    await settled();
    return { ...opened, receipt };
  }

  it("shows both sides and the versions", async () => {
    const { log, receipt } = await parkedLog();
    await expect(receipt.settled).resolves.toMatchObject({
      state: "parked",
      reason: { code: "conflict", stream: "todo/a", expected: 1, actual: 2 },
    });
    const [parked] = log.parked.getSnapshot();
    expect(parked).toMatchObject({
      reason: { code: "conflict", conflicts: [{ stream: "todo/a", expected: 1, actual: 2 }] },
      mine: [{ data: { title: "Mine" } }],
      theirs: [{ data: { title: "Theirs" }, position: 2 }],
    });
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({
      sync: "conflict",
      state: { title: "Theirs" },
    });
    await expect(log.receipt(receipt.id).settled).resolves.toMatchObject({
      state: "parked",
      reason: { expected: 1, actual: 2 },
    });
  });

  it.each(["retry", "rebase"] as const)("comes back by %s", async (how) => {
    const { log, core, receipt } = await parkedLog();
    const again = log.parked[how](receipt.id);
    await settled();
    expect(log.parked.getSnapshot()).toEqual([]);
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({
      version: 3,
      sync: "pending",
      state: { title: "Mine" },
    });
    core.confirm();
    await expect(again.settled).resolves.toEqual({ state: "confirmed", position: 3 });
  });

  it("goes for good by discard", async () => {
    const { log, receipt } = await parkedLog();
    await log.parked.discard(receipt.id);
    await settled();
    expect(log.parked.getSnapshot()).toEqual([]);
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({ version: 2, sync: "synced" });
    await expect(log.parked.discard(receipt.id)).rejects.toMatchObject({ code: "not_parked" });
  });
});

describe("the log", () => {
  it("opens a long history in batches, with progress", async () => {
    const device = new FakeDevice();
    device.batchSize = 100;
    for (let i = 0; i < 1000; i++) {
      device.seed(theirs("added", { title: `${i}` }, `${i}`));
    }
    const { log } = fakeLog(device);
    const progress: Status["replayed"][] = [];
    log.status.subscribe(({ replayed }) => replayed && progress.push(replayed));
    await log.ready();
    expect(log.rows(todo).getSnapshot()).toHaveLength(1000);
    expect(log.status.getSnapshot()).toMatchObject({ phase: "local", position: 1000 });
    expect(progress.at(-1)).toEqual({ done: 1000, total: 1000 });
  });

  it("that cannot open says why, and can try again", async () => {
    const device = new FakeDevice();
    device.openError = { code: "storage_unavailable", message: "private mode" };
    const log = createLogWith({ name: "test", streams: { todo } }, device.factory);
    await expect(log.ready()).rejects.toBeInstanceOf(StorageError);
    expect(log.status.getSnapshot()).toMatchObject({
      phase: "error",
      error: { code: "storage_unavailable" },
    });
    expect(thrownBy(() => log.todo("a").complete())).toMatchObject({ code: "storage_unavailable" });
    await log.ready();
    expect(log.status.getSnapshot().phase).toBe("local");
    expect(log.todo("a").add({ title: "Milk" }).ok).toBe(true);
  });

  it("stops with an error at a batch that cannot be read", async () => {
    const { log, core, device } = await openLog();
    const [recorded] = device.seed(theirs("added", { title: "Milk" }));
    if (!recorded) throw new Error("nothing was seeded");
    const payloads = new TextEncoder().encode("{},{}");
    core.notify({ kind: "batch", batch: { ...toBatch([recorded]), payloads }, settled: [] });
    await settled();
    expect(log.status.getSnapshot()).toMatchObject({
      phase: "error",
      error: { code: "corrupt_batch", fields: { position: 1 } },
    });
  });

  it("begins anew when the database was wiped", async () => {
    const device = new FakeDevice();
    device.seed(theirs("added", { title: "Milk" }));
    const { log, core } = await openLog(device);
    device.log.length = 0;
    core.notify({ kind: "reset", reason: "the database was empty", after: 0 });
    await settled();
    expect(log.rows(todo).getSnapshot()).toEqual([]);
    expect(log.status.getSnapshot()).toMatchObject({
      position: 0,
      reset: { reason: "the database was empty" },
    });
    core.pull(theirs("added", { title: "Again" }));
    await settled();
    expect(log.rows(todo).getSnapshot()).toMatchObject([{ state: { title: "Again" } }]);
  });

  it("gives the full history, confirmed and pending, in either direction", async () => {
    const { log, core } = await openLog();
    core.pull(theirs("added", { title: "Milk" }));
    await settled();
    log.todo("a").complete();
    const forward = await log.history(todo, "a");
    expect(forward.map(({ type, version, position }) => [type, version, position])).toEqual([
      ["todo.added", 1, 1],
      ["todo.completed", 2, undefined],
    ]);
    const backward = await log.todo("a").history({ direction: "backward" });
    expect(backward.map(({ version }) => version)).toEqual([2, 1]);
  });

  it("undoes a commit by the inverse of its events, pending or confirmed", async () => {
    const { log, core } = await openLog();
    log.todo("a").add({ title: "Milk" });
    const completed = log.todo("a").complete();
    await log.undo(completed.id);
    expect(log.todo("a").state.done).toBe(false);
    const renamed = log.todo("a").rename({ title: "Rye" });
    core.confirm();
    await settled();
    await log.undo(renamed.id);
    expect(log.todo("a").state.title).toBe("Milk");
    const written = log.note("n").write({ text: "x" });
    await expect(log.undo(written.id)).rejects.toMatchObject({ code: "nothing_to_undo" });
    await expect(log.undo("nothing")).rejects.toMatchObject({ code: "unknown_commit" });
    expect(log.row(note, "n").getSnapshot()?.version).toBe(1);
  });
});

describe("the way to the server", () => {
  const sync = { url: "/v1/logs/test" };

  it("is asked of the app with a reason: a token that was refused must not be the same again", async () => {
    const asked: boolean[] = [];
    const token = ({ refresh }: { readonly refresh: boolean }) => {
      asked.push(refresh);
      return refresh ? "new" : "old";
    };
    const device = new FakeDevice();
    const log = createLogWith(
      { name: "test", streams: { todo }, sync: { ...sync, token } },
      device.factory,
    );
    await log.ready();
    const { options } = device.core ?? {};
    expect(await options?.token?.(false)).toBe("old");
    expect(await options?.token?.(true)).toBe("new");
    expect(asked).toEqual([false, true]);
    await log.close();
  });

  it("is tried again when the app asks for it, once the log is open", async () => {
    const { log, core } = await openLog();
    log.syncNow();
    expect(core.kicks).toBe(1);
    await log.close();
    log.syncNow();
    expect(core.kicks).toBe(1);
  });

  it("takes over after a time that can be measured", () => {
    for (const takeOverAfter of [0, -1, 1.5, Number.NaN, 2 ** 40]) {
      const make = () =>
        createLogWith(
          { name: "test", streams: { todo }, sync: { ...sync, takeOverAfter } },
          new FakeDevice().factory,
        );
      expect(thrownBy(make)).toMatchObject({ code: "invalid_definition" });
    }
  });
});
