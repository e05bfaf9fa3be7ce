import { beforeEach, expect, it, vi } from "vitest";
import { FakeDevice } from "./fake-core.js";
import { openLog, todo } from "./fixtures.js";

/** How many looks at the clock find that there is time, before one finds that it is up. */
const patience = vi.hoisted(() => ({ looks: 0, every: 1 }));

vi.mock("../src/slices.js", async (original) => ({
  ...(await original<object>()),
  deadline: () => () => patience.looks++ % patience.every === 0,
}));

beforeEach(() => {
  patience.looks = 0;
});

const added = (key: string) => [
  { stream: `todo/${key}`, type: "todo.added", data: { title: key } },
];

function thirty() {
  const device = new FakeDevice();
  device.batchSize = 10;
  for (let i = 0; i < 30; i++) device.seed(added(`t${i}`));
  return openLog(device);
}

it.each([1, 2, 3, 4, 5])(
  "a rebuilding begins anew when the log does, wherever slices end (%i)",
  async (every) => {
    const { device, log, core } = await thirty();
    patience.every = every;
    let resets = 0;
    await log.rebuild(todo, {
      onProgress: ({ done }) => {
        if (done !== 10 || resets++ > 0) return;
        device.log.length = 0;
        core.notify({ kind: "reset", reason: "history", after: 0 });
        core.pull(added("only"));
      },
    });
    expect(resets).toBe(1);
    await vi.waitFor(() => expect(log.rows(todo).getSnapshot()).toHaveLength(1));
    expect(log.todo("only").version).toBe(1);
  },
);

it.each([1, 2, 3])("progress only grows, wherever slices end (%i)", async (every) => {
  const { log } = await thirty();
  patience.every = every;
  const told: number[] = [];
  await log.rebuild(todo, { onProgress: ({ done }) => told.push(done) });
  expect(told).toEqual([...new Set(told)].toSorted((a, b) => a - b));
  expect(told.at(-1)).toBe(30);
});
