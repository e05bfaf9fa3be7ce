import { describe, expect, it, vi } from "vitest";
import type { RecordedEvent } from "../src/types.js";
import { FakeDevice } from "./fake-core.js";
import { fakeLog, openLog, settled, thrownBy, todo } from "./fixtures.js";

const renamed = (key: string, title: string) => ({
  stream: `todo/${key}`,
  type: "todo.renamed",
  schema: 2,
  data: { title },
});

/** Five commits of two events each: positions 1 to 10, recorded at 1_000_001, 1_000_003, … */
function tenEvents(): FakeDevice {
  const device = new FakeDevice();
  device.batchSize = 2;
  for (let i = 0; i < 5; i++) device.seed([renamed("a", `a${i}`), renamed("b", `b${i}`)]);
  return device;
}

async function positions(events: AsyncIterable<RecordedEvent>): Promise<(number | undefined)[]> {
  const all: (number | undefined)[] = [];
  for await (const { position } of events) all.push(position);
  return all;
}

async function versions(events: AsyncIterable<RecordedEvent>): Promise<number[]> {
  const all: number[] = [];
  for await (const { version } of events) all.push(version);
  return all;
}

describe("reading the log", () => {
  it.each<[string, Parameters<ReturnType<typeof fakeLog>["log"]["read"]>[0], number[]]>([
    ["everything", {}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ["backward", { direction: "backward" }, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]],
    ["from a position", { from: { position: 8 } }, [8, 9, 10]],
    ["to a position", { to: { position: 3 } }, [1, 2, 3]],
    ["within a frame", { from: { position: 2 }, to: { position: 3 } }, [2, 3]],
    [
      "backward from a position",
      { direction: "backward", from: { position: 4 }, to: { position: 2 } },
      [4, 3, 2],
    ],
    ["some", { limit: 3 }, [1, 2, 3]],
    ["some backward", { limit: 3, direction: "backward" }, [10, 9, 8]],
    ["none", { limit: 0 }, []],
    ["past the end", { from: { position: 11 } }, []],
    ["to before the beginning", { to: { position: 0 } }, []],
    ["from a time", { from: { time: new Date(1_000_006) } }, [7, 8, 9, 10]],
    ["from the very time", { from: { time: new Date(1_000_007) } }, [7, 8, 9, 10]],
    ["to a time", { to: { time: new Date(1_000_004) } }, [1, 2, 3, 4]],
    [
      "backward between times",
      {
        direction: "backward",
        from: { time: new Date(1_000_004) },
        to: { time: new Date(1_000_002) },
      },
      [4, 3],
    ],
  ])("gives %s", async (_, options, expected) => {
    const { log } = await openLog(tenEvents());
    expect(await positions(log.read(options))).toEqual(expected);
  });

  it("gives whole events, with actor, tags and meta", async () => {
    const device = new FakeDevice();
    device.record("c", 5, [
      {
        ...renamed("a", "x"),
        data: '{"title":"x"}',
        tags: ["red"],
        meta: { correlationId: "r" },
      },
    ]);
    const { log } = await openLog(device);
    const { value } = await log.read().next();
    expect(value).toEqual({
      stream: "todo/a",
      key: "a",
      type: "todo.renamed",
      version: 1,
      schema: 2,
      occurredAt: 5,
      recordedAt: 1_000_001,
      position: 1,
      commitId: expect.stringMatching(/^c/),
      actor: "someone",
      data: { title: "x" },
      tags: ["red"],
      meta: { correlationId: "r" },
    });
  });

  it("gives each event of a long frame its own payload, whatever its letters are", async () => {
    const device = new FakeDevice();
    const titles = Array.from({ length: 2500 }, (_, i) => `${"ü🎈".repeat(i % 3)}, "${i}`);
    device.seed(titles.map((title, i) => renamed(String(i), title)));
    const { log } = await openLog(device);
    for (const direction of ["forward", "backward"] as const) {
      const read: unknown[] = [];
      for await (const { data } of log.read({ direction })) read.push(data);
      const expected = titles.map((title) => ({ title }));
      expect(read).toEqual(direction === "forward" ? expected : expected.reverse());
    }
    expect(log.row(todo, "2400").getSnapshot()?.state).toMatchObject({ title: titles[2400] });
  });

  it("opens the log, and ends where the log ended when it began", async () => {
    const device = tenEvents();
    const { log } = fakeLog(device);
    const events = log.read();
    expect(device.opens).toBe(0);
    const first = await events.next();
    expect(first.value?.position).toBe(1);
    device.core?.pull([renamed("c", "late")]);
    await settled();
    expect(await positions(events)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("reads one page ahead and no more, however slow the consumer is", async () => {
    const device = tenEvents();
    const { log } = await openLog(device);
    const events = log.read();
    await events.next();
    await settled();
    expect(device.reads).toBe(2);
    await settled();
    expect(device.reads).toBe(2);
    await events.return?.();
  });

  it("answers calls that do not wait for each other in order", async () => {
    const { log } = await openLog(tenEvents());
    const events = log.read({ limit: 4 });
    const all = await Promise.all([1, 2, 3, 4, 5].map(() => events.next()));
    expect(all.map(({ value }) => value?.position)).toEqual([1, 2, 3, 4, undefined]);
  });

  it("ends with the loop", async () => {
    const { log } = await openLog(tenEvents());
    const events = log.read();
    for await (const { position } of events) if (position === 3) break;
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  it("ends at once when it is left while a page is on its way", async () => {
    const { log, core } = await openLog(tenEvents());
    vi.spyOn(core, "readLog").mockReturnValue(new Promise(() => undefined));
    const events = log.read();
    const waiting = events.next();
    await settled();
    await events.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  it("rejects with the signal's reason at once", async () => {
    const { log, core } = await openLog(tenEvents());
    const aborted = new AbortController();
    aborted.abort("before");
    await expect(log.read({ signal: aborted.signal }).next()).rejects.toBe("before");
    vi.spyOn(core, "readLog").mockReturnValue(new Promise(() => undefined));
    const controller = new AbortController();
    const events = log.read({ signal: controller.signal });
    const waiting = events.next();
    await settled();
    controller.abort("changed my mind");
    await expect(waiting).rejects.toBe("changed my mind");
    await expect(events.next()).rejects.toBe("changed my mind");
  });

  it("rejects with what a read fails with, once, and is over then", async () => {
    const device = tenEvents();
    const { log } = await openLog(device);
    device.pruned = 4;
    device.online = false;
    const events = log.read();
    await expect(events.next()).rejects.toMatchObject({ code: "history_not_available" });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(await positions(log.read({ from: { position: 5 } }))).toHaveLength(6);
  });

  it("says where the log has a hole", async () => {
    const device = tenEvents();
    const { log } = await openLog(device);
    device.log.splice(2, 1);
    await expect(positions(log.read())).rejects.toMatchObject({ code: "corrupt_batch" });
    await expect(positions(log.read({ direction: "backward" }))).rejects.toMatchObject({
      code: "corrupt_batch",
      fields: { position: 6 },
    });
  });

  it("is over when the log is closed", async () => {
    const { log } = await openLog(tenEvents());
    const events = log.read();
    await events.next();
    await log.close();
    await expect(positions(events)).rejects.toMatchObject({ code: "closed" });
  });
});

describe("reading a stream", () => {
  it("gives the confirmed events, then the pending ones", async () => {
    const { log } = await openLog(tenEvents());
    log.todo("a").rename({ title: "mine" });
    log.todo("b").rename({ title: "other" });
    log.todo("a").rename({ title: "mine too" });
    const events: RecordedEvent[] = [];
    for await (const event of log.readStream(todo, "a")) events.push(event);
    expect(events.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(events.map(({ position }) => position)).toEqual([1, 3, 5, 7, 9, undefined, undefined]);
    expect(events.at(-1)?.data).toEqual({ title: "mine too" });
    await expect(log.history(todo, "a")).resolves.toEqual(events);
  });

  it.each<
    [string, Parameters<ReturnType<ReturnType<typeof fakeLog>["log"]["todo"]>["read"]>[0], number[]]
  >([
    ["backward, pending ones first", { direction: "backward" }, [7, 6, 5, 4, 3, 2, 1]],
    ["from a version", { from: 4 }, [4, 5, 6, 7]],
    ["to a version", { to: 2 }, [1, 2]],
    ["across the border of pending", { from: 5, to: 6 }, [5, 6]],
    ["backward across it", { from: 6, to: 5, direction: "backward" }, [6, 5]],
    ["only pending ones", { from: 7 }, [7]],
    ["some", { limit: 2, direction: "backward" }, [7, 6]],
    ["nothing behind the end", { from: 8 }, []],
  ])("%s", async (_, options, expected) => {
    const { log } = await openLog(tenEvents());
    log.todo("a").rename({ title: "mine" });
    log.todo("a").rename({ title: "mine too" });
    expect(await versions(log.todo("a").read(options))).toEqual(expected);
  });

  it("gives each event once when pending ones are confirmed meanwhile", async () => {
    const { log, core } = await openLog(tenEvents());
    log.todo("a").rename({ title: "mine" });
    const events = log.todo("a").read();
    await events.next();
    core.confirm();
    expect(await versions(events)).toEqual([2, 3, 4, 5, 6]);
  });

  it("of a stream that does not exist is empty, of an unknown kind an error", async () => {
    const { log } = await openLog(tenEvents());
    expect(await versions(log.todo("nobody").read())).toEqual([]);
    const other = { ...todo, kind: "other" as "todo" };
    expect(thrownBy(() => log.readStream(other, "x"))).toMatchObject({
      code: "unknown_stream_kind",
    });
    expect(thrownBy(() => log.readStream(todo, ""))).toMatchObject({ code: "invalid_stream" });
  });
});
