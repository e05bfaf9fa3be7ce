import { describe, expect, it } from "vitest";
import { z } from "zod";
import { stream } from "../src/define.js";
import { createLogWith } from "../src/log.js";
import { FakeDevice } from "./fake-core.js";
import { settled, thrownBy } from "./fixtures.js";

const list = stream("list", {
  events: { opened: z.object({ room: z.number() }), filled: z.object({ card: z.string() }) },
  initial: { room: 0, cards: [] as readonly string[] },
  evolve: {
    opened: (state, { room }) => ({ ...state, room }),
    filled: (state, { card }) => ({ ...state, cards: [...state.cards, card] }),
  },
  commands: ({ emit }) => ({
    open: (_state, args: { room: number }) => emit.opened(args),
    fill: (_state, args: { card: string }) => emit.filled(args),
  }),
});

const foreign = stream("foreign", {
  events: { happened: z.object({}) },
  initial: 0,
  evolve: { happened: (state) => state + 1 },
});

const card = stream("card", {
  events: { put: z.object({ on: z.string() }), paid: z.object({ amount: z.number() }) },
  initial: { on: "", balance: 10 },
  evolve: {
    put: (state, { on }) => ({ ...state, on }),
    paid: (state, { amount }) => ({ ...state, balance: state.balance + amount }),
  },
  commands: ({ emit, refuse }) => ({
    /** Looks at the list only. */
    put: (_state, on: string, context) => {
      const { state, version } = context.read(list, on);
      if (version === 0) return refuse("no_list");
      return state.cards.length < state.room ? emit.put({ on }) : refuse("full");
    },
    /** Writes both. */
    move: (_state, on: string, context) => {
      const target = context.read(list, on);
      if (target.state.cards.length >= target.state.room) return refuse("full");
      return [target.emit.filled({ card: context.key }), emit.put({ on })];
    },
    /** To another card. */
    pay: (state, to: string, context) => {
      const other = context.read(to);
      if (state.balance < 1) return refuse("broke");
      return [emit.paid({ amount: -1 }), other.emit.paid({ amount: 1 })];
    },
    /** Follows what its own state says. */
    follow: (state, _args, context) => {
      const { room } = context.read(list, state.on).state;
      return emit.paid({ amount: room });
    },
    blind: (_state, on: string) => ({ event: "filled", data: { card: "x" }, stream: `list/${on}` }),
    astray: (_state, _args, context) => emit.put({ on: String(context.read(foreign, "a").state) }),
    swallow: (_state, _args, context) => {
      try {
        context.read(foreign, "a");
      } catch {
        // As if nothing had been there.
      }
      return emit.put({ on: "nowhere" });
    },
  }),
});

const opened = (room: number, key = "l") => [
  { stream: `list/${key}`, type: "list.opened", data: { room } },
];
const filled = (card: string) => [{ stream: "list/l", type: "list.filled", data: { card } }];

async function openBoard() {
  const device = new FakeDevice();
  device.seed(opened(2));
  const log = createLogWith({ name: "board", streams: { card, list } }, device.factory);
  await log.ready();
  const { core } = device;
  if (core === undefined) throw new Error("the log opened without a core");
  const conditions = () => device.pending.map(({ draft }) => draft.conditions);
  return { device, log, core, conditions };
}

describe("a command that reads another stream", () => {
  it("expects what it read unchanged, pending events included", async () => {
    const { log, conditions } = await openBoard();
    log.card("a").put("l");
    log.list("l").fill({ card: "x" });
    log.card("b").put("l");
    expect(conditions()).toEqual([
      [
        { stream: "card/a", expected: "noStream" },
        { stream: "list/l", expected: 1 },
      ],
      [{ stream: "list/l", expected: 1 }],
      [
        { stream: "card/b", expected: "noStream" },
        { stream: "list/l", expected: 2 },
      ],
    ]);
  });

  it("sees one that does not exist as its first state, and expects that there is none", async () => {
    const { log, device, conditions } = await openBoard();
    expect(log.card("a").put("nothing")).toMatchObject({ ok: false, reason: { code: "no_list" } });
    expect(device.pending).toHaveLength(0);
    log.card("a").pay("b");
    expect(conditions()).toEqual([
      [
        { stream: "card/a", expected: "noStream" },
        { stream: "card/b", expected: "noStream" },
      ],
    ]);
  });

  it("is decided again when that stream changed, and refused if it no longer may", async () => {
    const { log, core } = await openBoard();
    const receipt = log.card("a").put("l");
    core.pull(filled("x"));
    await settled();
    expect(core.answers).toMatchObject([
      { id: receipt.id, answer: { events: [{ type: "card.put" }], reads: ["list/l"] } },
    ]);
    expect(log.card("a").state.on).toBe("l");
    core.pull(filled("y"));
    await expect(receipt.settled).resolves.toMatchObject({
      state: "parked",
      reason: { code: "full" },
    });
    expect(log.card("a").state.on).toBe("");
  });

  it("sees what is pending before it when it is decided again, and nothing after it", async () => {
    const { log, core } = await openBoard();
    log.list("l").fill({ card: "before" });
    const receipt = log.card("a").put("l");
    log.list("l").fill({ card: "after" });
    core.pull(opened(3));
    await settled();
    expect(core.answers).toMatchObject([
      { answer: { events: [{ type: "list.filled" }], reads: [] } },
      { id: receipt.id, answer: { events: [{ type: "card.put" }] } },
      { answer: { events: [{ type: "list.filled" }] } },
    ]);
    core.pull(opened(1));
    await expect(receipt.settled).resolves.toMatchObject({ reason: { code: "full" } });
  });

  it("may read another one when it is decided again", async () => {
    const { log, core, conditions } = await openBoard();
    const put = (on: string) => [{ stream: "card/a", type: "card.put", data: { on } }];
    core.pull(opened(5, "m"), put("l"));
    await settled();
    log.card("a").follow();
    expect(conditions()[0]).toContainEqual({ stream: "list/l", expected: 1 });
    core.pull(put("m"));
    await settled();
    expect(core.answers).toMatchObject([{ answer: { reads: ["list/m"] } }]);
    expect(log.card("a").state.balance).toBe(15);
    expect(conditions()).toEqual([
      [
        { stream: "card/a", expected: 2 },
        { stream: "list/m", expected: 1 },
      ],
    ]);
  });

  it("conflicts with `seen` as on its own stream", async () => {
    const { log, core } = await openBoard();
    const receipt = log.card("a").seen(0).put("l");
    core.pull(filled("x"));
    await expect(receipt.settled).resolves.toMatchObject({ state: "parked" });
  });

  it("reads its own without another condition", async () => {
    const { log, conditions } = await openBoard();
    const receipt = log.card("a").pay("a");
    expect(receipt.ok).toBe(true);
    expect(conditions()).toEqual([[{ stream: "card/a", expected: "noStream" }]]);
  });
});

describe("a command that writes several streams", () => {
  it("appends one commit, shown as a whole", async () => {
    const { log, device } = await openBoard();
    log.card("a").move("l");
    expect(device.pending.map(({ draft }) => draft.events.map(({ stream }) => stream))).toEqual([
      ["list/l", "card/a"],
    ]);
    expect(log.list("l").state.cards).toEqual(["a"]);
    expect(log.card("a").state.on).toBe("l");
  });

  it("is decided again as a whole, one after the other", async () => {
    const { log, core } = await openBoard();
    const receipts = ["a", "b", "c"].map((key) => log.card(key).move("l"));
    expect(receipts.map(({ ok }) => ok)).toEqual([true, true, false]);
    core.pull(filled("x"));
    await expect(receipts[1]?.settled).resolves.toMatchObject({ reason: { code: "full" } });
    expect(log.list("l").state.cards).toEqual(["x", "a"]);
    expect([log.card("a").state.on, log.card("b").state.on]).toEqual(["l", ""]);
  });

  it("expects what it writes unchanged, also what it did not read", async () => {
    const { log, conditions } = await openBoard();
    log.card("a").blind("l");
    expect(conditions()).toEqual([
      [
        { stream: "card/a", expected: "noStream" },
        { stream: "list/l", expected: 1 },
      ],
    ]);
  });
});

describe("a stream that a command cannot read", () => {
  it("of a kind that the log does not declare, is refused by name", async () => {
    const { log, device } = await openBoard();
    for (const command of ["astray", "swallow"] as const) {
      expect(thrownBy(() => log.card("a")[command]())).toMatchObject({
        code: "unknown_stream_kind",
        fields: { kind: "foreign" },
      });
    }
    expect(device.pending).toHaveLength(0);
  });

  it("by a name that is none, is refused by name", async () => {
    const { log } = await openBoard();
    expect(thrownBy(() => log.card("a").put(""))).toMatchObject({ code: "invalid_stream" });
    expect(thrownBy(() => log.card("a").blind("a\u0000"))).toMatchObject({
      code: "invalid_stream",
    });
  });

  it("because it holds what this code does not know, blocks those who look at it", async () => {
    const { log, core } = await openBoard();
    const receipt = log.card("a").put("l");
    core.pull([{ stream: "list/l", type: "list.sealed", data: {} }]);
    await expect(receipt.settled).resolves.toMatchObject({
      state: "parked",
      reason: { code: "stream_blocked" },
    });
    expect(thrownBy(() => log.card("a").put("l"))).toMatchObject({ code: "stream_blocked" });
  });
});
