import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { stream } from "../src/define.js";
import { createLogWith } from "../src/log.js";
import { FakeDevice } from "./fake-core.js";
import { note, openLog, settled, thrownBy, todo } from "./fixtures.js";

const written = (text: string, key = "a") => [
  { stream: `note/${key}`, type: "note.written", data: { text } },
];

/** A log whose note was edited by this device and by another one, on version 1. */
async function edited(mine: string, theirs: string) {
  const opened = await openLog();
  const { log, core } = opened;
  core.pull(written("base"));
  await settled();
  const receipt = log.note("a").edit({ text: mine });
  core.pull(written(theirs));
  await settled();
  return { ...opened, receipt };
}

describe("a merge", () => {
  it("appends what the kind makes of base, theirs and mine", async () => {
    const { log, core, receipt } = await edited("mine", "theirs");
    expect(core.answers).toMatchObject([
      { id: receipt.id, answer: { events: [{ type: "note.written" }] } },
    ]);
    expect(log.row(note, "a").getSnapshot()).toMatchObject({
      version: 3,
      state: { text: "base>theirs+mine" },
      sync: "pending",
    });
  });

  it("that has nothing left to do appends nothing", async () => {
    const { core } = await edited("same", "same");
    expect(core.answers).toMatchObject([{ answer: { events: [] } }]);
  });

  it("sees as theirs what is pending before it, and nothing after it", async () => {
    const { log, core } = await openLog();
    core.pull(written("base"));
    await settled();
    log.note("a").append([{ type: "note.written", data: { text: "raw" } }]);
    log.note("a").edit({ text: "mine" });
    log.note("a").append([{ type: "note.written", data: { text: "later" } }]);
    core.pull(written("theirs"));
    await settled();
    // The edit was made on version 2, which others have taken since: the base ends there.
    expect(core.answers).toMatchObject([
      { answer: { events: [{ data: '{"text":"theirs>raw+mine"}' }] } },
    ]);
  });

  it("that nobody can make parks the commit with both sides", async () => {
    const { log, receipt } = await edited("?", "theirs");
    await expect(receipt.settled).resolves.toMatchObject({ state: "parked" });
    expect(log.row(note, "a").getSnapshot()).toMatchObject({
      state: { text: "theirs" },
      sync: "conflict",
    });
  });

  it("that throws parks the commit with what it said", async () => {
    const { receipt } = await edited("!", "theirs");
    await expect(receipt.settled).resolves.toMatchObject({
      state: "parked",
      reason: { code: "merge_failed", message: "The merge of note/a threw: boom." },
    });
  });

  it("of a kind without one is for a person", async () => {
    const { log, core } = await openLog();
    const add = { type: "todo.added", data: { title: "Mine" } };
    const receipt = log.todo("a").append([add], { expected: "noStream", policy: "merge" });
    core.pull([{ stream: "todo/a", type: "todo.added", data: { title: "Theirs" } }]);
    await expect(receipt.settled).resolves.toMatchObject({ state: "parked" });
    expect(core.answers).toMatchObject([{ answer: { ask: true } }]);
  });

  it("is declared with the policy, or the definition is refused", () => {
    const options = {
      events: { written: z.object({ text: z.string() }) },
      initial: { text: "" },
      evolve: { written: (_state: object, data: { text: string }) => data },
    };
    const commands = () => ({ write: () => ({ event: "written", data: { text: "" } }) });
    expect(() => stream("page", { ...options, commands, policy: "merge" })).toThrow(
      'merge is missing, and the policy of write is "merge"',
    );
    expect(() => stream("page", { ...options, merge: "union" as never })).toThrow(
      "merge must be a function of sides and { emit }",
    );
  });
});

describe("a parked commit", () => {
  const theirs = (title: string) => [
    { stream: "todo/a", type: "todo.added", data: { title }, schema: 1 },
  ];

  async function parked() {
    const opened = await openLog();
    const add = { type: "todo.added", data: { title: "Mine" } };
    const receipt = opened.log.todo("a").append([add], { expected: "noStream" });
    opened.core.pull(theirs("Theirs"));
    await settled();
    return { ...opened, id: receipt.id };
  }

  it("shows what both sides made of its streams", async () => {
    const { log, id } = await parked();
    await expect(log.parked.sides(id)).resolves.toMatchObject([
      {
        stream: "todo/a",
        base: { title: "" },
        theirs: { title: "Theirs" },
        mine: { title: "Mine" },
        events: [{ type: "todo.added" }],
      },
    ]);
    await expect(log.parked.sides("nothing")).rejects.toMatchObject({ code: "not_parked" });
  });

  it("can be replaced by what somebody merged", async () => {
    const { log, id } = await parked();
    const data = { title: "Theirs and mine" };
    log.parked.replace(id, [{ stream: "todo/a", type: "todo.renamed", data }]);
    await settled();
    expect(log.parked.getSnapshot()).toEqual([]);
    expect(log.row(todo, "a").getSnapshot()).toMatchObject({ version: 2, state: data });
  });

  it("is not replaced by what is no commit", async () => {
    const { log, id } = await parked();
    expect(thrownBy(() => log.parked.replace(id, []))).toMatchObject({ code: "empty_commit" });
    const event = { stream: "todo/a", type: "todo.eaten", data: {} };
    expect(thrownBy(() => log.parked.replace(id, [event]))).toMatchObject({
      code: "unknown_event_type",
    });
    expect(log.parked.getSnapshot()).toMatchObject([{ id }]);
  });
});

describe("commands that are decided again", () => {
  it("fold a stream once for a whole row of them", async () => {
    let folds = 0;
    const counter = stream("counter", {
      events: { added: z.object({ by: z.number() }) },
      initial: 0,
      evolve: {
        added: (state, { by }) => {
          folds++;
          return state + by;
        },
      },
      commands: ({ emit }) => ({ add: (_state, args: { by: number }) => emit.added(args) }),
    });
    const device = new FakeDevice();
    const log = createLogWith({ name: "counts", streams: { counter } }, device.factory);
    await log.ready();
    const { core } = device;
    const rows = 300;
    for (let i = 0; i < rows; i++) log.counter("a").add({ by: 1 });
    await settled();
    folds = 0;
    core?.pull([{ stream: "counter/a", type: "counter.added", data: { by: 7 } }]);
    await vi.waitFor(() => expect(core?.answers).toHaveLength(rows));
    await settled();
    expect(log.counter("a").state).toBe(rows + 7);
    // Once to decide, once to show: never each of them for each.
    expect(folds).toBeLessThanOrEqual(3 * rows + 3);
  });
});
