import { describe, expect, it, vi } from "vitest";
import { projection, stream } from "../src/define.js";
import { createLogWith } from "../src/log.js";
import type { Status } from "../src/types.js";
import { FakeDevice } from "./fake-core.js";
import { fakeLog, openLog, settled, thrownBy, todo } from "./fixtures.js";

type Log = ReturnType<typeof fakeLog>["log"];

const LINE =
  '{"stream":"todo/x","type":"todo.added","time":"2026-01-01T00:00:00Z","data":{"title":"x"}}';

const added = (key: string) => [
  { stream: `todo/${key}`, type: "todo.added", data: { title: key } },
];

function seeded(count: number): FakeDevice {
  const device = new FakeDevice();
  device.batchSize = 10;
  for (let i = 0; i < count; i++) device.seed(added(`t${i}`));
  return device;
}

/** A kind whose fold depends on what the test says now, as code under development does. */
function changingLog(device: FakeDevice) {
  let mark = "old";
  const changing = stream("todo", {
    prefix: "",
    events: {},
    initial: "",
    evolve: () => mark,
  });
  const log = createLogWith({ name: "test", streams: { todo: changing } }, device.factory);
  return { log, changing, become: (to: string) => (mark = to) };
}

describe("rebuilding", () => {
  it("folds a kind anew beside the old rows, which stay until all is there", async () => {
    const device = seeded(50);
    const { log, changing, become } = changingLog(device);
    await log.ready();
    const states = () =>
      new Set(
        log
          .rows(changing)
          .getSnapshot()
          .map((row) => row.state),
      );
    const seen: unknown[] = [];
    log.rows(changing).subscribe((rows) => seen.push([...new Set(rows.map((row) => row.state))]));
    become("new");
    const during: unknown[] = [];
    const rebuilding: Status["rebuilding"][] = [];
    log.status.subscribe((status) => rebuilding.push(status.rebuilding));
    await log.rebuild(changing, { onProgress: () => during.push(...states()) });
    expect(new Set(during)).toEqual(new Set(["old"]));
    expect(states()).toEqual(new Set(["new"]));
    expect(seen).toEqual([["new"]]);
    expect(rebuilding.flat()).toContainEqual({ name: "rows/todo", done: 50, total: 50 });
    expect(log.status.getSnapshot().rebuilding).toEqual([]);
  });

  it("takes over with what was confirmed and appended meanwhile", async () => {
    const device = seeded(50);
    const { log, core } = await openLog(device);
    const rebuilt = log.rebuild(todo, {
      onProgress: ({ done }) => {
        if (done === 10) {
          core.pull(added("late"));
          log.todo("mine").add({ title: "mine" });
        }
      },
    });
    await rebuilt;
    expect(log.rows(todo).getSnapshot()).toHaveLength(52);
    core.confirm();
    await settled();
    expect(log.row(todo, "mine").getSnapshot()?.sync).toBe("synced");
    expect(log.todo("late").version).toBe(1);
  });

  it("keeps rows that come out the same the same objects", async () => {
    const { log } = await openLog(seeded(20));
    const before = log.rows(todo).getSnapshot();
    const told = vi.fn();
    log.rows(todo).subscribe(told);
    await log.rebuild(todo);
    // The states are new objects, but nobody could tell them apart.
    expect(log.rows(todo).getSnapshot()).toBe(before);
    expect(told).not.toHaveBeenCalled();
  });

  it("folds a projection anew", async () => {
    let step = 1;
    const sum = projection({ name: "sum", initial: 0, evolve: (state: number) => state + step });
    const { log } = fakeLog(seeded(30));
    const live = log.fold(sum);
    await log.ready();
    expect(live.getSnapshot()).toBe(30);
    step = 2;
    const told = vi.fn();
    live.subscribe(told);
    await log.rebuild(sum);
    expect(live.getSnapshot()).toBe(60);
    expect(told.mock.calls).toEqual([[60]]);
  });

  it("that is aborted or cannot read changes nothing", async () => {
    const device = seeded(30);
    const { log, changing, become } = changingLog(device);
    await log.ready();
    become("new");
    const controller = new AbortController();
    const rebuilt = log.rebuild(changing, {
      signal: controller.signal,
      onProgress: ({ done }) => done === 10 && controller.abort("no"),
    });
    await expect(rebuilt).rejects.toBe("no");
    device.pruned = 5;
    device.online = false;
    await expect(log.rebuild(changing)).rejects.toMatchObject({ code: "history_not_available" });
    expect(log.todo("t1").state).toBe("old");
    expect(log.status.getSnapshot().rebuilding).toEqual([]);
  });

  it("begins anew when the log does, and ends when it is closed", async () => {
    const device = seeded(30);
    const { log, core } = await openLog(device);
    let resets = 0;
    await log.rebuild(todo, {
      onProgress: ({ done }) => {
        if (done !== 10 || resets++ > 0) return;
        device.log.length = 0;
        core.notify({ kind: "reset", reason: "history", after: 0 });
        core.pull(added("only"));
      },
    });
    expect(log.rows(todo).getSnapshot()).toHaveLength(1);
    const closing = log.rebuild(todo, { onProgress: () => void log.close() });
    await expect(closing).rejects.toMatchObject({ code: "closed" });
  });

  it("of an unknown kind is an error", async () => {
    const { log } = await openLog();
    const other = { ...todo, kind: "other" as "todo" };
    await expect(log.rebuild(other)).rejects.toMatchObject({ code: "unknown_stream_kind" });
  });
});

describe("a projection that comes late", () => {
  const count = projection({ name: "count", initial: 0, evolve: (state: number) => state + 1 });

  it("shows in the status while it is built, and blocks nothing", async () => {
    const { log } = await openLog(seeded(40));
    const rebuilding: Status["rebuilding"][] = [];
    log.status.subscribe((status) => rebuilding.push(status.rebuilding));
    const live = log.fold(count);
    expect(live.getSnapshot()).toBe(0);
    expect(log.todo("mine").add({ title: "x" }).ok).toBe(true);
    await vi.waitFor(() => expect(live.getSnapshot()).toBe(41));
    expect(rebuilding.flat()).toContainEqual({ name: "fold/count", done: 40, total: 40 });
  });

  it("that cannot be read is tried again when the server is there", async () => {
    const device = seeded(40);
    device.pruned = 20;
    device.online = false;
    const log = createLogWith(
      { name: "test", streams: { todo }, sync: { url: "/v1/logs/test" } },
      device.factory,
    );
    await log.ready();
    const live = log.fold(count);
    await vi.waitFor(() =>
      expect(log.status.getSnapshot().error).toMatchObject({ code: "history_not_available" }),
    );
    device.online = true;
    device.core?.notify({ kind: "status" });
    await vi.waitFor(() => expect(live.getSnapshot()).toBe(40));
    expect(log.status.getSnapshot().error).toBeUndefined();
  });
});

describe("verifying", () => {
  it("goes through the whole log", async () => {
    const { log } = await openLog(seeded(30));
    const onProgress = vi.fn();
    await expect(log.verify({ onProgress })).resolves.toEqual({ events: 30 });
    expect(onProgress).toHaveBeenLastCalledWith({ done: 30, total: 30 });
    await expect((await openLog()).log.verify()).resolves.toEqual({ events: 0 });
  });

  it("says what does not fit, and can be aborted", async () => {
    const device = seeded(30);
    const { log, core } = await openLog(device);
    const event = device.log[7]?.events[0];
    if (event) event.data = "tampered";
    await expect(log.verify()).rejects.toMatchObject({
      code: "log_tampered",
      fields: { position: 8 },
    });
    const controller = new AbortController();
    vi.spyOn(core, "verify").mockReturnValue(new Promise(() => undefined));
    const verified = log.verify({ signal: controller.signal });
    await settled();
    controller.abort("later");
    await expect(verified).rejects.toBe("later");
  });
});

describe("closing the log", () => {
  it.each<
    [string, "readLog" | "readStream" | "verify" | "importEvents", (log: Log) => Promise<unknown>]
  >([
    ["a read", "readLog", (log) => log.read().next()],
    ["a read of a stream", "readStream", (log) => log.readStream(todo, "t1").next()],
    ["an export", "readLog", (log) => new Response(log.export()).text()],
    ["an import", "importEvents", (log) => log.import(LINE)],
    ["a rebuilding", "readLog", (log) => log.rebuild(todo)],
    ["a verification", "verify", (log) => log.verify()],
    ["a view of the past", "readLog", (log) => log.at({ position: 5 })],
  ])("ends %s that waits", async (_, call, start) => {
    const { log, core } = await openLog(seeded(10));
    vi.spyOn(core, call).mockReturnValue(new Promise<never>(() => undefined));
    const waiting = start(log);
    await settled();
    const ended = expect(waiting).rejects.toMatchObject({ code: "closed" });
    await log.close();
    await ended;
  });
});

describe("storage", () => {
  it("tells what is held, and again after events were confirmed", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    try {
      const { log, core } = await openLog(seeded(10));
      expect(log.storage.getSnapshot().events).toBe(0);
      const told = vi.fn();
      log.storage.subscribe(told);
      await vi.advanceTimersByTimeAsync(1);
      expect(told).toHaveBeenLastCalledWith(expect.objectContaining({ events: 10, oldest: 1 }));
      core.pull(added("more"));
      await vi.advanceTimersByTimeAsync(5000);
      expect(log.storage.getSnapshot().events).toBe(11);
    } finally {
      vi.useRealTimers();
    }
  });

  it("looks, compacts and persists when it is told to", async () => {
    const { log, device } = await openLog(seeded(10));
    await expect(log.storage.refresh()).resolves.toMatchObject({ events: 10, gaps: [] });
    await log.storage.compact();
    await expect(log.storage.persist()).resolves.toBe(true);
    expect(device.persistCalls).toBe(1);
  });

  it.each([
    ["Chromium, which does not prompt", { userAgentData: {} }, "prompt", 1],
    ["a browser that prompts", {}, "prompt", 0],
    ["one that granted it before", {}, "granted", 1],
    ["one without that permission", {}, undefined, 1],
  ])("asks %s by itself after the first commit", async (_, extra, state, calls) => {
    const query = async () => {
      if (state === undefined) throw new TypeError("unknown name");
      return { state };
    };
    const storage = { persist: async () => true, persisted: async () => false };
    vi.stubGlobal("navigator", { ...extra, storage, permissions: { query } });
    try {
      const { log, core, device } = await openLog();
      log.todo("a").add({ title: "x" });
      expect(device.persistCalls).toBe(0);
      core.write();
      log.todo("b").add({ title: "x" });
      core.write();
      await settled();
      expect(device.persistCalls).toBe(calls);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it("keeps less only where somebody else holds the rest", () => {
    const make = (retain: never, sync?: { url: string }) =>
      createLogWith({ name: "x", streams: { todo }, retain, sync }, new FakeDevice().factory);
    const newest = { newest: 100 } as never;
    expect(thrownBy(() => make(newest))).toMatchObject({ code: "invalid_definition" });
    for (const wrong of [{ newest: -1 }, { since: "monday" }, "some"]) {
      expect(thrownBy(() => make(wrong as never, { url: "/x" }))).toMatchObject({
        code: "invalid_definition",
      });
    }
    expect(make(newest, { url: "/x" }).name).toBe("x");
    expect(make("all" as never).name).toBe("x");
  });

  it("hands retention to the core", async () => {
    const device = new FakeDevice();
    const since = new Date(5);
    const options = { name: "x", streams: { todo }, retain: { since }, sync: { url: "/x" } };
    await createLogWith(options, device.factory).ready();
    expect(device.core?.options.retain).toEqual({ since: 5 });
  });

  it("tells of damage until it is mended", async () => {
    const { log, core } = await openLog(seeded(3));
    core.notify({ kind: "damaged", from: 4, refetch: true });
    await settled();
    expect(log.status.getSnapshot().damaged).toEqual({ from: 4, refetch: true });
    core.pull(added("again"));
    await settled();
    expect(log.status.getSnapshot().damaged).toBeUndefined();
  });

  it("takes one notice for many receipts", async () => {
    const { log, core } = await openLog();
    const receipts = ["a", "b"].map((key) => log.todo(key).add({ title: "x" }));
    core.notify({ kind: "durable", ids: receipts.map(({ id }) => id).join("") });
    await Promise.all(receipts.map(({ durable }) => durable));
  });
});
