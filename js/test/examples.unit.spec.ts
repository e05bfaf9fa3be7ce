import { expect, it, vi } from "vitest";
import readme from "../README.md?raw";
import { createLogWith } from "../src/log.js";
import * as examples from "./examples.js";
import source from "./examples.ts?raw";
import { FakeDevice } from "./fake-core.js";
import { openLog, settled } from "./fixtures.js";

const regions = [...source.matchAll(/#region (\w+)\n([\s\S]*?)\/\/ #endregion/g)];

it.each(regions.map(([, name, code]) => [name, code]))("%s stands in README.md", (_, code) => {
  // The body of the function, at the margin.
  const body = (code ?? "").split("\n").slice(1, -2);
  const lines = body
    .filter((line) => !line.startsWith("  return "))
    .map((line) => line.replace(/^ {2}/, ""));
  expect(lines.length).toBeGreaterThan(2);
  expect(readme).toContain(lines.join("\n"));
});

async function threeTodos() {
  const device = new FakeDevice();
  for (const key of ["a", "b", "c"]) {
    device.seed([{ stream: `todo/${key}`, type: "todo.added", data: { title: key } }]);
  }
  return openLog(device);
}

it("the examples do what they say", async () => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  const { log } = await threeTodos();
  log.todo("a").complete();
  const show = vi.fn();
  await examples.read(log, show);
  expect(show.mock.calls.map(([{ stream }]) => stream)).toEqual(["todo/c", "todo/b", "todo/a"]);

  const clicks: (() => void)[] = [];
  await examples.storage(log, (click) => clicks.push(click));
  expect(clicks).toHaveLength(1);
  expect(log.storage.getSnapshot().events).toBe(3);

  const other = await openLog();
  const moved = await examples.transfer(log, other.log, new AbortController().signal);
  expect(moved).toMatchObject({ events: 3, skipped: 0 });
  expect(moved.mine).toContain('"type":"todo.completed"');
  expect(other.log.todo("c").state.title).toBe("c");

  const page = examples.merging();
  const device = new FakeDevice();
  const wiki = createLogWith({ name: "wiki", streams: { page } }, device.factory);
  await wiki.ready();
  const theirs = (title: string, body: string) => [
    { stream: "page/a", type: "page.edited", data: { title, body } },
  ];
  device.core?.pull(theirs("Title", "Body"));
  await settled();
  wiki.page("a").edit({ title: "Mine" });
  device.core?.pull(theirs("Title", "Theirs"));
  await settled();
  expect(wiki.page("a").state).toEqual({ title: "Mine", body: "Theirs" });

  const board = createLogWith(
    { name: "board", streams: examples.elsewhere() },
    new FakeDevice().factory,
  );
  await board.ready();
  expect(board.card("a").put("l").reason?.code).toBe("no_list");
  board.list("l").open(1);
  expect(board.card("a").put("l").ok).toBe(true);
  expect(board.list("l").state.cards).toBe(1);
  expect(board.card("b").put("l").reason?.code).toBe("full");
  expect(board.card("a").pay("b").reason?.code).toBe("broke");

  expect(await examples.rebuild(log)).toEqual({ "todo.added": 3, "todo.completed": 1 });
});
