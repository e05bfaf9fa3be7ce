/** A log of which a part is synced: what it takes, and folds of batches with holes. */
import { describe, expect, test } from "vitest";
import { BatchReader } from "../src/batch.js";
import type { Batch } from "../src/border.js";
import { TidelogError } from "../src/errors.js";
import { createLogWith } from "../src/log.js";
import { Mirror } from "../src/mirror.js";
import { type Recorded, toBatch } from "./columns.js";
import { FakeDevice } from "./fake-core.js";
import { note, todo } from "./fixtures.js";

const URL = "/v1/logs/todos";

function open(only: object, device = new FakeDevice()) {
  const streams = { todo, note };
  return createLogWith({ name: "todos", streams, sync: { url: URL, only } }, device.factory);
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof TidelogError) return thrown.code;
    throw thrown;
  }
  return undefined;
}

describe("what is synced", () => {
  test("is told to wasm by kinds and streams", async () => {
    const device = new FakeDevice();
    const log = open({ kinds: ["todo"], streams: ["note/a", "note/b/c"] }, device);
    await log.ready();
    expect(device.core?.options.only).toBe("todo\nnote/a\nnote/b/c");
    await log.close();
  });

  test("must be something that the log declares", () => {
    for (const only of [
      {},
      { kinds: [], streams: [] },
      { kinds: ["list"] },
      { streams: ["list/1"] },
      { streams: ["note"] },
      { kinds: "todo" },
    ]) {
      const code = codeOf(() => open(only));
      expect(["invalid_definition", "invalid_stream"], JSON.stringify(only)).toContain(code);
    }
  });

  test("a stream outside of it takes no commands", async () => {
    const log = open({ kinds: ["note"] });
    await log.ready();
    expect(codeOf(() => log.todo("1").add({ title: "Milk" }))).toBe("outside_filter");
    expect(log.status.getSnapshot().pending).toBe(0);
    await log.close();
  });
});

/** An event of a stream at a position. */
function commit(position: number, stream: string, version: number): Recorded {
  const type = stream.startsWith("todo/") ? "todo.added" : "note.written";
  const event = { stream, type, schema: 1, version, data: JSON.stringify({ title: stream }) };
  return {
    id: `c${position}`,
    actor: undefined,
    first: position,
    occurredAt: 1,
    recordedAt: 1,
    events: [event],
  };
}

/** A batch of these commits that covers `first..=last`. */
function holed(
  commits: readonly Recorded[],
  first: number,
  last: number,
  more: object = {},
): Batch {
  const positions = Float64Array.from(commits, (one) => one.first);
  return { ...toBatch(commits), firstPosition: first, lastPosition: last, positions, ...more };
}

function folded(mirror: Mirror, batch: Batch): void {
  mirror.begin(batch, []);
  while (!mirror.advance(() => false));
}

describe("batches with holes", () => {
  const commits = [commit(3, "todo/1", 1), commit(4, "todo/2", 1), commit(9, "todo/1", 2)];
  const batch = holed(commits, 1, 12);

  test("say how many events stand up to a position", () => {
    const reader = new BatchReader(batch);
    const counts = [0, 2, 3, 4, 8, 9, 12, 99].map((position) => reader.until(position));
    expect(counts).toEqual([0, 0, 1, 2, 2, 3, 3, 3]);
    expect(reader.last).toBe(12);
    const whole = new BatchReader(toBatch([commit(5, "todo/1", 1), commit(6, "todo/1", 2)]));
    expect([4, 5, 6, 7].map((position) => whole.until(position))).toEqual([0, 1, 2, 2]);
    expect(whole.last).toBe(6);
  });

  test("are folded up to the end of what is left out", () => {
    const mirror = new Mirror({ todo, note }, () => undefined);
    mirror.start();
    folded(mirror, batch);
    expect(mirror.position).toBe(12);
    expect(mirror.rows("todo")?.confirmedVersion("1")).toBe(2);
    folded(mirror, holed([], 13, 20));
    expect(mirror.position).toBe(20);
    // Two frames became one, which begins before where this tab stands: inside what was left out.
    const more = [...commits, commit(22, "todo/2", 2)];
    folded(mirror, { ...holed(more, 1, 22), skip: 3 });
    expect(mirror.position).toBe(22);
    expect(mirror.rows("todo")?.confirmedVersion("2")).toBe(2);
    expect(() => folded(mirror, holed([commit(30, "todo/3", 1)], 30, 30))).toThrow();
  });

  test("a stream that is known in part has no row", () => {
    const mirror = new Mirror({ todo, note }, () => undefined);
    mirror.start();
    const both = [commit(1, "todo/1", 1), commit(2, "note/9", 4)];
    const names = toBatch(both).names.split("\n");
    folded(mirror, holed(both, 1, 2, { partial: [names.indexOf("note/9")] }));
    expect(mirror.rows("todo")?.confirmedVersion("1")).toBe(1);
    expect(mirror.rows("note")?.confirmedVersion("9")).toBe(0);
  });
});
