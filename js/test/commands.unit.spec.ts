import { describe, expect, it, vi } from "vitest";
import { InvalidEventError, NotReadyError, TidelogError } from "../src/errors.js";
import { fakeLog, note, openLog, thrownBy, todo } from "./fixtures.js";

describe("a command", () => {
  it("is on screen, and its subscribers were told, when it returns", async () => {
    const { log } = await openLog();
    const told = vi.fn();
    log.rows(todo).subscribe(told);
    const receipt = log.todo("a").add({ title: "Milk" });
    expect(receipt.ok).toBe(true);
    expect(log.todo("a").state).toEqual({ title: "Milk", done: false });
    expect(log.todo("a").version).toBe(1);
    expect(told).toHaveBeenCalledTimes(1);
    expect(told.mock.calls[0]?.[0]).toMatchObject([{ key: "a", version: 1, sync: "pending" }]);
  });

  it("expects the version that it decided on", async () => {
    const { log, device } = await openLog();
    log.todo("a").add({ title: "Milk" });
    log.todo("a").complete();
    const [first, second] = device.pending.map(({ draft }) => draft);
    expect(first).toMatchObject({
      conditions: [{ stream: "todo/a", expected: "noStream" }],
      command: { stream: "todo/a", name: "add", args: '{"title":"Milk"}' },
      policy: "rerun",
    });
    expect(second?.conditions).toEqual([{ stream: "todo/a", expected: 1 }]);
  });

  it("that is refused appends nothing and says why in the same call", async () => {
    const { log, device } = await openLog();
    log.todo("a").add({ title: "Milk" });
    const receipt = log.todo("a").add({ title: "Bread" });
    expect(receipt).toMatchObject({
      ok: false,
      reason: { code: "exists", message: "There is one already" },
    });
    await expect(receipt.settled).resolves.toMatchObject({ state: "refused" });
    await expect(receipt.durable).rejects.toMatchObject({ code: "refused" });
    expect(device.pending).toHaveLength(1);
  });

  it("with nothing to do appends nothing and is settled", async () => {
    const { log, device } = await openLog();
    log.todo("a").add({ title: "Milk" });
    log.todo("a").complete();
    const receipt = log.todo("a").complete();
    expect(receipt.ok).toBe(true);
    await expect(receipt.durable).resolves.toBeUndefined();
    expect(device.pending).toHaveLength(2);
  });

  it("conflicts if the row is not as the user saw it, and is parked rather than decided again", async () => {
    const { log, device } = await openLog();
    log.todo("a").add({ title: "Milk" });
    expect(log.todo("a").seen(0).complete()).toMatchObject({
      ok: false,
      reason: { code: "version_conflict", stream: "todo/a", expected: 0, actual: 1 },
    });
    expect(log.todo("a").seen(1).complete().ok).toBe(true);
    expect(device.pending.at(-1)?.draft).toMatchObject({
      policy: "ask",
      conditions: [{ stream: "todo/a", expected: 1 }],
    });
  });

  it("gets ids from its commit", async () => {
    const { log } = await openLog();
    const { id } = log.todo("a").stamp();
    const [first, second] = log.todo("a").state.title.split(" ");
    expect(first?.slice(0, 13)).toBe(id.slice(0, 13));
    expect(first?.[14]).toBe("8");
    expect(second).not.toBe(first);
  });

  it("validates its payloads and stores what the schema made of them", async () => {
    const { log, device } = await openLog();
    const error = thrownBy(() => log.todo("a").add({ title: "" }));
    expect(error).toBeInstanceOf(InvalidEventError);
    expect(error).toMatchObject({ code: "invalid_payload", issues: [{ path: ["title"] }] });
    const more = { title: "Milk", extra: true };
    log.todo("a").add(more);
    expect(device.pending[0]?.draft.events[0]?.data).toBe('{"title":"Milk"}');
  });

  it("that throws is named", async () => {
    const { log } = await openLog();
    expect(thrownBy(() => log.todo("a").explode())).toMatchObject({
      code: "command_failed",
      fields: { command: "explode", stream: "todo/a", problem: "boom" },
    });
  });

  it("before the log is open is told to wait", async () => {
    const { log } = fakeLog();
    const error = thrownBy(() => log.todo("a").add({ title: "Milk" }));
    expect(error).toBeInstanceOf(NotReadyError);
    expect(error).toMatchObject({ code: "not_ready" });
    await log.ready();
    expect(log.todo("a").add({ title: "Milk" }).ok).toBe(true);
  });

  it("on a closed log is refused with a typed error", async () => {
    const { log } = await openLog();
    await log.close();
    expect(log.status.getSnapshot().phase).toBe("closed");
    expect(thrownBy(() => log.todo("a").add({ title: "Milk" }))).toMatchObject({ code: "closed" });
    await expect(log.ready()).rejects.toMatchObject({ code: "closed" });
  });

  it("may be given by a subscriber", async () => {
    const { log } = await openLog();
    log.row(todo, "a").subscribe((row) => {
      if (row && !row.state.done) log.todo("a").complete();
    });
    log.todo("a").add({ title: "Milk" });
    expect(log.todo("a").state.done).toBe(true);
  });

  it("passes on what the core refuses", async () => {
    const { log, core } = await openLog();
    core.appendError = { code: "commit_too_large", message: "too large", size: 2, limit: 1 };
    const error = thrownBy(() => log.note("n").write({ text: "x" }));
    expect(error).toBeInstanceOf(InvalidEventError);
    expect(error).toMatchObject({ code: "commit_too_large", fields: { size: 2, limit: 1 } });
    expect(log.row(note, "n").getSnapshot()).toBeUndefined();
  });
});

describe("a raw append", () => {
  it("is atomic over several streams", async () => {
    const { log, device } = await openLog();
    const receipt = log.append([
      { stream: "todo/a", type: "todo.added", data: { title: "Milk" } },
      { stream: "note/n", type: "note.written", data: { text: "hm" } },
    ]);
    expect(receipt.ok).toBe(true);
    expect(device.pending[0]?.draft).toMatchObject({
      policy: "rebase",
      conditions: [
        { stream: "todo/a", expected: "any" },
        { stream: "note/n", expected: "any" },
      ],
    });
    expect(log.note("n").state).toEqual({ text: "hm" });
  });

  it("with an expected version conflicts in the same call", async () => {
    const { log, device } = await openLog();
    const events = [{ type: "todo.added", data: { title: "Milk" } }];
    expect(log.todo("a").append(events, { expected: "noStream" }).ok).toBe(true);
    expect(device.pending[0]?.draft.policy).toBe("ask");
    expect(log.todo("a").append(events, { expected: "noStream" })).toMatchObject({
      ok: false,
      reason: { code: "version_conflict", expected: "noStream", actual: 1 },
    });
  });

  it.each([
    ["a type that no stream declares", "todo/a", "todo.exploded", "unknown_event_type"],
    ["a kind that no one declares", "cat/a", "cat.born", "unknown_stream_kind"],
    ["a stream without a key", "todo", "todo.added", "invalid_stream"],
    ["a stream with a control character", "todo/\u0000", "todo.added", "invalid_stream"],
    ["a payload that does not fit", "todo/a", "todo.added", "invalid_payload"],
  ])("refuses %s", async (_, stream, type, code) => {
    const { log, device } = await openLog();
    const error = thrownBy(() => log.append([{ stream, type, data: { title: 1 } }]));
    expect(error).toBeInstanceOf(TidelogError);
    expect(error).toMatchObject({ code });
    expect(device.pending).toHaveLength(0);
  });

  it("refuses a commit without events", async () => {
    const { log } = await openLog();
    expect(thrownBy(() => log.append([]))).toMatchObject({ code: "empty_commit" });
  });
});
