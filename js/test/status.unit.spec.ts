import { expect, it, vi } from "vitest";
import { openLog, settled } from "./fixtures.js";

/** Every slice of work is over after one step, so that the status is told between any two of them. */
vi.mock("../src/slices.js", async (original) => ({
  ...(await original<object>()),
  deadline: () => () => true,
}));

it("a commit is pending until its events are folded, whatever wasm has counted already", async () => {
  const { log, core } = await openLog();
  const told: [number, number][] = [];
  log.status.subscribe(({ position, pending }) => told.push([position, pending]));
  for (const title of ["a", "b", "c"]) log.todo(title).add({ title });
  core.write();
  core.confirm();
  await vi.waitFor(() =>
    expect(log.status.getSnapshot()).toMatchObject({ position: 3, pending: 0 }),
  );
  await settled();
  expect(told.length).toBeGreaterThan(3);
  for (const [position, pending] of told) expect(position + pending).toBe(3);
});
