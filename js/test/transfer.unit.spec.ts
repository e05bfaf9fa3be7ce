import { describe, expect, it, vi } from "vitest";
import type { ImportSource } from "../src/log-types.js";
import { parseLine, textToTime } from "../src/ndjson.js";
import { toBatch } from "./columns.js";
import { FakeDevice } from "./fake-core.js";
import { fakeLog, openLog, settled, todo } from "./fixtures.js";

const added = (key: string, data: string) => ({
  stream: `todo/${key}`,
  type: "todo.added",
  schema: 1,
  data,
});

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new TextDecoder().decode(await bytesOf(stream));
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const LINES = [
  '{"stream":"todo/a","version":1,"type":"todo.added","time":"1970-01-01T00:00:01.000Z","data":{"title":"x, \\"y\\" ]}","n":1.0}}',
  '{"stream":"todo/b","version":1,"type":"todo.renamed","time":"1970-01-01T00:00:02.000Z","data":{"title":"é"},"schema":2,"tags":["red"],"meta":{"device":"d"}}',
  '{"stream":"todo/a","version":2,"type":"todo.completed","time":"1970-01-01T00:00:03.000Z","data":{}}',
];
const NDJSON = `${LINES.join("\n")}\n`;

/** The events of {@link LINES}, confirmed. */
function threeEvents(): FakeDevice {
  const device = new FakeDevice();
  device.record("c1", 1000, [added("a", '{"title":"x, \\"y\\" ]}","n":1.0}')]);
  device.record("c2", 2000, [
    {
      ...added("b", '{"title":"é"}'),
      type: "todo.renamed",
      schema: 2,
      tags: ["red"],
      meta: { device: "d" },
    },
  ]);
  device.record("c3", 3000, [{ ...added("a", "{}"), type: "todo.completed" }]);
  return device;
}

describe("an export", () => {
  it("is a line for each event, payloads byte for byte", async () => {
    const device = threeEvents();
    device.batchSize = 2;
    const { log } = await openLog(device);
    const progress = vi.fn();
    expect(await textOf(log.export({ onProgress: progress }))).toBe(NDJSON);
    expect(progress).toHaveBeenLastCalledWith({ done: 3, total: 3 });
  });

  it("holds what is pending and parked, if asked for", async () => {
    const { log, core } = await openLog(threeEvents());
    log.todo("a").seen(2).rename({ title: "parked" });
    core.pull([{ stream: "todo/a", type: "todo.reopened", data: {} }]);
    await settled();
    log.todo("c").add({ title: "pending" });
    const lines = (await textOf(log.export({ what: "unconfirmed" }))).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { stream: "todo/c", version: 1, type: "todo.added", data: { title: "pending" } },
      { stream: "todo/a", type: "todo.renamed", schema: 2, data: { title: "parked" } },
    ]);
    expect(lines[1]).not.toContain("version");
    const all = (await textOf(log.export({ what: "all" }))).trim().split("\n");
    expect(all).toHaveLength(6);
    expect(all.slice(-2)).toEqual(lines);
  });

  it("is frames as they are", async () => {
    const device = threeEvents();
    device.batchSize = 1;
    const { log, core } = await openLog(device);
    const bytes = await bytesOf(log.export({ format: "frames" }));
    device.batchSize = 100;
    expect(bytes).toEqual(await core.framesFrom(1));
    log.todo("c").add({ title: "pending" });
    const more = await bytesOf(log.export({ format: "frames", what: "all" }));
    expect(more.length).toBe(bytes.length + (await core.unconfirmed()).length);
  });

  it("reads only as fast as it is taken, and stops when it is let go", async () => {
    const device = threeEvents();
    device.batchSize = 1;
    const { log } = await openLog(device);
    const reader = log.export().getReader();
    await reader.read();
    await settled();
    expect(device.reads).toBeLessThanOrEqual(2);
    await reader.cancel();
    await settled();
    expect(device.reads).toBeLessThanOrEqual(2);
  });

  it("fails with the signal's reason, or with what reading fails with", async () => {
    const { log, core, device } = await openLog(threeEvents());
    const controller = new AbortController();
    vi.spyOn(core, "readLog").mockReturnValueOnce(new Promise(() => undefined));
    const read = log.export({ signal: controller.signal }).getReader().read();
    await settled();
    controller.abort("enough");
    await expect(read).rejects.toBe("enough");
    device.pruned = 1;
    device.online = false;
    await expect(textOf(log.export())).rejects.toMatchObject({ code: "history_not_available" });
  });

  it("of what the server lost leaves out what has come back, is pending or parked", async () => {
    const { log, core } = await openLog(threeEvents());
    const { id: pending } = log.todo("c").add({ title: "pending" });
    const commit = (id: string, first: number, titles: readonly string[]) => ({
      id,
      recordedAt: 1,
      occurredAt: 1,
      actor: undefined,
      first,
      events: titles.map((title, i) => ({
        ...added(id, JSON.stringify({ title })),
        version: i + 1,
      })),
    });
    core.lostOnes = [
      toBatch([commit("c2", 1, ["came back"]), commit("x", 2, ["lost", "too"])]),
      toBatch([commit(pending, 4, ["waits"]), commit("y", 5, ["and this"])]),
    ];
    const titles = (await log.lost()).map(({ data }) => (data as { title: string }).title);
    expect(titles).toEqual(["lost", "too", "and this"]);
    const lines = (await textOf(log.export({ what: "lost" }))).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { stream: "todo/x", version: 1, data: { title: "lost" } },
      { stream: "todo/x", version: 2, data: { title: "too" } },
      { stream: "todo/y", version: 1, data: { title: "and this" } },
    ]);
    expect(await bytesOf(log.export({ what: "lost", format: "frames" }))).toHaveLength(0);
  });
});

async function* chunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

describe("a time", () => {
  it.each([
    "2011-10-01T00:38:44.546+02:00",
    "2011-10-01T00:38:44.546-11:30",
    "2012-02-29T23:59:59.999Z",
    "0001-01-01T00:00:00.000Z",
    "1969-12-31T23:59:59.999Z",
    "2011-10-01T00:38:44Z",
    "2011-10-01T00:38:44.5Z",
  ])("%s is that", (text) => expect(textToTime(text)).toBe(Date.parse(text)));

  it.each([
    "2011-13-01T00:38:44.546Z",
    "2011-10-01T24:38:44.546Z",
    "2011-10-01T00:60:44.546Z",
    "2011-10-01T00:38:44.5x6Z",
    "2011-10-01T00:38:44.546",
    "2011-10-01",
    "soon",
  ])("%s is none", (text) => expect(textToTime(text)).toBeNaN());
});

describe("a line's payload", () => {
  const lineOf = (data: string) =>
    `{"stream":"a/1","type":"made","time":"2011-10-01T00:38:44.546Z","data":${data}}`;

  it.each([
    "{}",
    '{"a":1,"b":-0.5,"c":"x","d":true,"e":null}',
    '{"a":1e9}',
    '{"a":{"b":[1,2]}}',
    '{ "a": "\\u0041" }',
    "[1]",
    '"text"',
  ])("%s is kept as it is", (data) => expect(parseLine(lineOf(data)).data).toBe(data));

  it.each(["{a:1}", '{"a":01}', '{"a":1,}', '{"a":1"b":2}', '{"a":"\u0001"}', '{"a":.5}', '{"a"}'])(
    "%s is refused",
    (data) => expect(() => parseLine(lineOf(data))).toThrow(),
  );
});

describe("an import", () => {
  const bytes = new TextEncoder().encode(NDJSON);

  it.each<[string, () => ImportSource]>([
    ["a text", () => NDJSON],
    ["a text without its last line end", () => NDJSON.trimEnd()],
    ["a text with Windows' line ends", () => NDJSON.replaceAll("\n", "\r\n")],
    ["bytes", () => bytes],
    ["a blob", () => new Blob([bytes])],
    ["a stream", () => new Blob([bytes]).stream()],
    ["bytes in pieces of one", () => chunks(bytes, 1)],
    ["bytes in pieces of seven", () => chunks(bytes, 7)],
  ])("takes the lines of %s, so that they are exported as they were", async (_, source) => {
    const { log } = await openLog();
    await expect(log.import(source())).resolves.toEqual({ events: 3, commits: 1, skipped: 0 });
    expect(await textOf(log.export())).toBe(NDJSON);
    expect(log.todo("b").state.title).toBe("é");
    expect(log.todo("a").version).toBe(2);
  });

  it("makes commits of a hundred lines, and tells how far it is", async () => {
    const { log, device } = await openLog();
    const lines = Array.from({ length: 5050 }, (_, i) =>
      JSON.stringify({
        stream: `todo/${i % 50}`,
        type: "todo.added",
        time: "2011-10-01T00:38:44.546+02:00",
        data: { title: `t${i}` },
      }),
    );
    const onProgress = vi.fn();
    const result = await log.import(lines.join("\n"), { onProgress });
    expect(result).toEqual({ events: 5050, commits: 51, skipped: 0 });
    expect(onProgress.mock.calls.map(([{ events }]) => events)).toEqual([5000, 5050]);
    expect(device.log.map(({ events }) => events.length).slice(-2)).toEqual([100, 50]);
    expect(device.log[0]?.events[0]).toMatchObject({ occurredAt: 1_317_422_324_546 });
    expect(log.todo("7").version).toBe(101);
  });

  it("again leaves out what is there, and refuses what contradicts it", async () => {
    const { log } = await openLog();
    await log.import(NDJSON);
    await expect(log.import(NDJSON)).resolves.toEqual({ events: 0, commits: 0, skipped: 3 });
    const more =
      '{"stream":"todo/a","version":3,"type":"todo.reopened","time":"1970-01-01T00:00:04Z","data":{}}';
    await expect(log.import(`${NDJSON}${more}`)).resolves.toMatchObject({ events: 1, skipped: 3 });
    const other = NDJSON.replace("1.0", "2.0");
    await expect(log.import(other)).rejects.toMatchObject({
      code: "invalid_import",
      fields: { line: 1, problem: expect.stringContaining("another event") },
    });
  });

  describe("of lines that were erased, as the server writes them", () => {
    const gone = "5f".repeat(32);
    const time = "1970-01-01T00:00:09.000Z";
    const lines = [
      ...LINES,
      `{"stream":"todo/b","version":2,"type":"todo.renamed","time":"${time}","erased":"${gone}"}`,
      `{"stream":"todo/b","version":3,"type":"tidelog.redacted","time":"${time}","data":{"versions":[[2,2]],"reason":"asked for"}}`,
      `{"stream":"todo/b","version":4,"type":"todo.completed","time":"${time}","data":{}}`,
    ];
    const text = `${lines.join("\n")}\n`;

    it("keeps them erased, in commits of their own, and exports them as they were", async () => {
      const { log, device } = await openLog();
      await expect(log.import(text)).resolves.toEqual({ events: 6, commits: 3, skipped: 0 });
      expect(device.log.map(({ events }) => events.length)).toEqual([3, 2, 1]);
      expect(log.todo("b")).toMatchObject({ version: 4, state: { title: "é", done: true } });
      expect(await textOf(log.export())).toBe(text);
      await expect(log.import(text)).resolves.toEqual({ events: 0, commits: 0, skipped: 6 });
    });

    it("takes those that are here with their payload for the same, and the other way round", async () => {
      const { log } = await openLog();
      const before = text.replace(`"erased":"${gone}"`, '"data":{"title":"Call Ada"}');
      await log.import(before);
      await expect(log.import(text)).resolves.toMatchObject({ skipped: 6 });
      const { log: other } = await openLog();
      await other.import(text);
      await expect(other.import(before)).resolves.toMatchObject({ skipped: 6 });
    });

    it("leaves them to the server where the log has one", async () => {
      const { log } = await openLog(new FakeDevice(), { url: "https://example.com" });
      const problem = expect.stringContaining("only its server records that");
      await expect(log.import(text)).rejects.toMatchObject({
        code: "invalid_import",
        fields: { line: 4, imported: 3, problem },
      });
    });
  });

  it.each<[string, string, RegExp]>([
    ["is no JSON", "nonsense", /not JSON/],
    [
      "was erased and says not what",
      '{"stream":"todo/a","type":"t","time":"1970-01-01T00:00:01Z","erased":true}',
      /not a digest/,
    ],
    [
      "was erased and has data",
      `{"stream":"todo/a","type":"t","time":"1970-01-01T00:00:01Z","erased":"${"5f".repeat(32)}","data":1}`,
      /has data/,
    ],
    ["is no object", "[1]", /not an object/],
    [
      "has a payload that is no JSON",
      '{"stream":"todo/a","type":"t","time":"1970-01-01T00:00:01Z","data":{x}}',
      /not JSON/,
    ],
    ["has no data", '{"stream":"todo/a","type":"t","time":"1970-01-01T00:00:01Z"}', /no data/],
    ["has no time", '{"stream":"todo/a","type":"t","time":"soon","data":1}', /time/],
    [
      "has no key",
      '{"stream":"nokey","type":"t","time":"1970-01-01T00:00:01Z","data":1}',
      /stream/,
    ],
    [
      "has a field too many",
      '{"stream":"todo/a","type":"t","time":"1970-01-01T00:00:01Z","data":1,"x":1}',
      /x is not a field/,
    ],
    [
      "has a version too high",
      '{"stream":"todo/a","version":9,"type":"t","time":"1970-01-01T00:00:01Z","data":1}',
      /cannot have version 9/,
    ],
    [
      "has meta of its own",
      '{"stream":"todo/a","type":"t","time":"1970-01-01T00:00:01Z","data":1,"meta":{"x":"y"}}',
      /meta/,
    ],
  ])("stops at a line that %s, and says what is stored", async (_, line, problem) => {
    const { log } = await openLog();
    await expect(log.import(`${LINES[0]}\n${line}\n${LINES[2]}\n`)).rejects.toMatchObject({
      code: "invalid_import",
      message: expect.stringContaining("line 2"),
      fields: { line: 2, imported: 1, problem: expect.stringMatching(problem) },
    });
    await settled();
    expect(log.todo("a").version).toBe(1);
  });

  it("takes a stream without a slash as the server does, and fields in any order", async () => {
    const { log } = await openLog();
    const line =
      '{ "data" : {"title": "\\u007d"} , "type":"todo.added", "time":"1970-01-01T00:00:01+00:00", "stream":"todo-x-y" }';
    await log.import(line);
    expect(log.todo("x-y").state.title).toBe("}");
    expect(await textOf(log.export())).toContain('"data":{"title": "\\u007d"}');
  });

  it("refuses bytes that are no text", async () => {
    const { log } = await openLog();
    await expect(log.import(new Uint8Array([0x7b, 0xff, 0x0a]))).rejects.toMatchObject({
      code: "invalid_import",
      fields: { line: 1, imported: 0 },
    });
  });

  it("takes frames that continue the log, in any pieces", async () => {
    const { log: from } = await openLog(threeEvents());
    const frames = await bytesOf(from.export({ format: "frames" }));
    for (const size of [1, 50, 10_000]) {
      const { log } = await openLog();
      await expect(log.import(chunks(frames, size), { format: "frames" })).resolves.toEqual({
        events: 3,
        commits: 3,
        skipped: 0,
      });
      expect(await textOf(log.export())).toBe(NDJSON);
      await expect(log.import(frames)).resolves.toEqual({ events: 0, commits: 0, skipped: 3 });
    }
  });

  it("refuses frames that do not fit or are cut off", async () => {
    const { log: from } = await openLog(threeEvents());
    const frames = await bytesOf(from.export({ format: "frames" }));
    const { log } = await openLog();
    log.todo("mine").add({ title: "x" });
    const device = new FakeDevice();
    device.seed([{ stream: "todo/z", type: "todo.added", data: { title: "other" } }]);
    const other = await openLog(device);
    await expect(other.log.import(frames)).rejects.toMatchObject({ code: "import_mismatch" });
    await expect(log.import(frames.slice(0, -1))).rejects.toMatchObject({
      code: "invalid_import",
      fields: { imported: 2 },
    });
    await expect(log.import("TIDE", { format: "frames" })).rejects.toMatchObject({
      code: "invalid_import",
    });
  });

  it("ends with the signal's reason, lets go of its source, and keeps what is stored", async () => {
    const { log } = await openLog();
    const controller = new AbortController();
    const cancel = vi.fn();
    const source = new ReadableStream<Uint8Array>({
      start: (stream) => stream.enqueue(bytes),
      cancel,
    });
    const importing = log.import(source, { signal: controller.signal });
    await settled();
    controller.abort("stop");
    await expect(importing).rejects.toBe("stop");
    expect(cancel).toHaveBeenCalledTimes(1);
    const aborted = AbortSignal.abort("early");
    await expect(log.import(NDJSON, { signal: aborted })).rejects.toBe("early");
  });

  it("ends when its source fails, or the log is closed", async () => {
    const { log } = await openLog();
    async function* failing(): AsyncGenerator<string> {
      yield NDJSON;
      throw new Error("cable pulled");
    }
    await expect(log.import(failing())).rejects.toThrow("cable pulled");
    const { log: other } = fakeLog();
    async function* closing(): AsyncGenerator<string> {
      yield NDJSON;
      await other.close();
      yield NDJSON;
    }
    await expect(other.import(closing())).rejects.toMatchObject({ code: "closed" });
    expect(log.rows(todo).getSnapshot().length).toBeLessThanOrEqual(2);
  });
});
