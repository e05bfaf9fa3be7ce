/** What things cost, counted in calls of the app's own functions: time depends on the machine, these do not. */
import { describe, expect, it, vi } from "vitest";
import { projection, stream } from "../src/define.js";
import { createLogWith } from "../src/log.js";
import { FakeDevice } from "./fake-core.js";
import { settled } from "./fixtures.js";

async function countingLog(seeded = 0) {
  const evolve = vi.fn((state: { n: number }) => ({ n: state.n + 1 }));
  const item = stream("item", { prefix: "", events: {}, initial: { n: 0 }, evolve });
  const total = vi.fn((n: number) => n + 1);
  const sum = projection({ name: "sum", initial: 0, evolve: total });
  const device = new FakeDevice();
  for (let i = 0; i < seeded; i++) {
    device.seed([{ stream: `item/${i}`, type: "made", data: { i } }]);
  }
  const log = createLogWith({ name: "test", streams: { item } }, device.factory);
  const live = log.fold(sum);
  await log.ready();
  const append = (key: string) => log.append([{ stream: `item/${key}`, type: "made", data: {} }]);
  const { core } = device;
  if (core === undefined) throw new Error("the log opened without a core");
  return { log, item, evolve, total, live, append, core, device };
}

describe("an append", () => {
  it("folds its own event, however many are pending on its stream", async () => {
    const { log, evolve, total, append, core, live } = await countingLog();
    for (let i = 0; i < 500; i++) append("a");
    expect(evolve).toHaveBeenCalledTimes(500);
    expect(total).toHaveBeenCalledTimes(500);
    expect(log.item("a").state).toEqual({ n: 500 });
    core.write();
    await settled();
    expect(evolve).toHaveBeenCalledTimes(500);
    core.confirm();
    await settled();
    expect(log.item("a").state).toEqual({ n: 500 });
    expect(live.getSnapshot()).toBe(500);
  });

  it("asks a watched query about the row that changed, and about no other", async () => {
    const { log, item, append } = await countingLog(300);
    const where = vi.fn(() => true);
    const compared = vi.fn((a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1));
    const rows = log.rows(item, { where, orderBy: compared });
    const told = vi.fn();
    rows.subscribe(told);
    expect(rows.getSnapshot()).toHaveLength(300);
    where.mockClear();
    compared.mockClear();
    append("7");
    expect(told).toHaveBeenCalledTimes(1);
    expect(where).toHaveBeenCalledTimes(1);
    // Two searches by halves, not a walk over all.
    expect(compared.mock.calls.length).toBeLessThan(30);
  });
});

describe("opening", () => {
  it("folds each event once, and asks nobody's query before it is open", async () => {
    const { evolve, total } = await countingLog(300);
    expect(evolve).toHaveBeenCalledTimes(300);
    expect(total).toHaveBeenCalledTimes(300);
  });
});

describe("a row that nobody asks for", () => {
  it("shows what it should when somebody does, also in the middle of a batch", async () => {
    const { log, item, core, device } = await countingLog(50);
    core.pull([{ stream: "item/3", type: "made", data: {} }]);
    await settled();
    expect(log.row(item, "3").getSnapshot()).toMatchObject({ version: 2, state: { n: 2 } });
    expect(log.row(item, "4").getSnapshot()).toMatchObject({ version: 1, state: { n: 1 } });
    // A batch of thousands takes several slices; between them the rows are those of before.
    const versions = new Set<number | undefined>();
    const clock = vi.spyOn(performance, "now");
    let now = 0;
    clock.mockImplementation(() => {
      now += 5;
      return now;
    });
    const looking = setInterval(() => versions.add(log.row(item, "5").getSnapshot()?.version), 0);
    const commits = Array.from({ length: 3000 }, () => ({
      stream: "item/5",
      type: "made",
      data: {},
    }));
    device.batchSize = 10_000;
    core.pull(commits);
    await vi.waitFor(() => expect(log.status.getSnapshot().position).toBe(50 + 1 + 3000));
    clearInterval(looking);
    clock.mockRestore();
    versions.add(log.row(item, "5").getSnapshot()?.version);
    expect([...versions].filter((version) => version !== 1)).toEqual([3001]);
  });
});
