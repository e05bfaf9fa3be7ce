import { expect, it } from "vitest";
import { z } from "zod";
import { projection, stream } from "../src/define.js";
import { DefinitionError } from "../src/errors.js";
import { createLog } from "../src/log.js";
import { note, openLog, thrownBy, todo } from "./fixtures.js";

const schema = z.object({});
const good = { events: { made: schema }, initial: 0, evolve: { made: (n: number) => n + 1 } };
// Definitions that the compiler would refuse, as JavaScript may write them.
const loose = stream as unknown as (kind: string, options: object) => unknown;

it.each([
  ["a kind with a slash", () => loose("a/b", good)],
  ["no events", () => loose("x", { ...good, events: undefined })],
  ["an event without a schema", () => loose("x", { ...good, events: { made: {} } })],
  ["an event without a fold", () => loose("x", { ...good, evolve: {} })],
  [
    "a fold without an event",
    () => loose("x", { ...good, evolve: { ...good.evolve, y: () => 0 } }),
  ],
  ["no initial state", () => loose("x", { events: good.events, evolve: good.evolve })],
  ["a version that is no number", () => loose("x", { ...good, version: "2" })],
  ["a missing upcaster", () => loose("x", { ...good, events: { made: { schema, version: 2 } } })],
  ["an unknown policy", () => loose("x", { ...good, policy: "guess" })],
  ["a policy for no command", () => loose("x", { ...good, policy: { go: "ask" } })],
  [
    "a command named as a member",
    () => loose("x", { ...good, commands: () => ({ seen: () => [] }) }),
  ],
  ["a projection without a name", () => projection({ name: "", initial: 0, evolve: (n) => n })],
  ["a log without a name", () => createLog({ name: "", streams: {} })],
  ["a property that is not the kind", () => createLog({ name: "x", streams: { other: todo } })],
  [
    "a kind named as a member of the log",
    () => createLog({ name: "x", streams: { rows: stream("rows", { ...good }) } }),
  ],
])("refuses %s", (_, make) => {
  const error = thrownBy(make);
  expect(error).toBeInstanceOf(DefinitionError);
  expect(error).toMatchObject({ code: "invalid_definition" });
});

it("refuses an asynchronous schema at the append", async () => {
  const slow = stream("note", {
    events: { written: z.object({}).refine(async () => true) },
    initial: 0,
    evolve: { written: (n) => n + 1 },
    commands: ({ emit }) => ({ write: () => emit.written({}) }),
  });
  const { createLogWith } = await import("../src/log.js");
  const { device } = await openLog();
  const log = createLogWith({ name: "x", streams: { note: slow } }, device.factory);
  await log.ready();
  expect(thrownBy(() => log.note("n").write())).toMatchObject({ code: "invalid_definition" });
});

it("rows of a definition that is not in the log are refused", async () => {
  const { log } = await openLog();
  const cat = stream("cat", good);
  expect(thrownBy(() => log.rows(cat))).toMatchObject({ code: "unknown_stream_kind" });
  expect(log.rows(note).getSnapshot()).toEqual([]);
});
