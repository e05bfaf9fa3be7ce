/** What most tests declare and open. */
import { z } from "zod";
import { stream } from "../src/define.js";
import { createLogWith } from "../src/log.js";
import { FakeDevice } from "./fake-core.js";

export const todo = stream("todo", {
  events: {
    added: z.object({ title: z.string().min(1) }),
    renamed: {
      schema: z.object({ title: z.string() }),
      version: 2,
      upcast: { 1: (data) => ({ title: data.name }) },
      inverse: (_data, before) => ({ event: "renamed", data: { title: before.title } }),
    },
    completed: {
      schema: z.object({}),
      inverse: () => ({ event: "reopened", data: {} }),
    },
    reopened: z.object({}),
    cursed: z.object({}),
  },
  initial: { title: "", done: false },
  evolve: {
    added: (state, data) => ({ ...state, ...data }),
    renamed: (state, data) => ({ ...state, ...data }),
    completed: (state) => ({ ...state, done: true }),
    reopened: (state) => ({ ...state, done: false }),
    cursed: () => {
      throw new Error("a curse");
    },
  },
  commands: ({ emit, refuse }) => ({
    add: (_state, args: { title: string }, context) =>
      context.version > 0 ? refuse("exists", "There is one already") : emit.added(args),
    rename: (_state, args: { title: string }) => emit.renamed(args),
    complete: (state) => (state.done ? [] : [emit.completed({})]),
    completeOnce: (state) => (state.done ? refuse("done") : [emit.completed({})]),
    curse: () => emit.cursed({}),
    explode: () => {
      throw new Error("boom");
    },
    stamp: (_state, _args, context) => emit.added({ title: `${context.id()} ${context.id()}` }),
  }),
  policy: { rename: "rebase" },
});

export const note = stream("note", {
  events: { written: z.object({ text: z.string() }) },
  initial: { text: "" },
  evolve: { written: (_state, data) => data },
  commands: ({ emit }) => ({
    write: (_state, args: { text: string }) => emit.written(args),
    edit: (_state, args: { text: string }) => emit.written(args),
  }),
  policy: { edit: "merge" },
  merge: ({ base, theirs, mine }, { emit }) => {
    if (mine.text === "?") return undefined;
    if (mine.text === "!") throw new Error("boom");
    if (mine.text === theirs.text) return [];
    return emit.written({ text: `${base.text}>${theirs.text}+${mine.text}` });
  },
});

export const loan = stream("loan", {
  prefix: "",
  events: {},
  initial: { last: "", events: 0 },
  evolve: (state, event) => ({ last: event.name, events: state.events + 1 }),
});

/** A log over a fresh fake device, not opened yet. */
export function fakeLog(device = new FakeDevice(), sync?: { readonly url: string }) {
  const streams = { todo, note, loan };
  const log = createLogWith({ name: "test", streams, ...(sync ? { sync } : {}) }, device.factory);
  return { device, log };
}

/** The same, opened. */
export async function openLog(device = new FakeDevice(), sync?: { readonly url: string }) {
  const { log } = fakeLog(device, sync);
  await log.ready();
  const { core } = device;
  if (core === undefined) throw new Error("the log opened without a core");
  return { device, log, core };
}

/** Lets every notice that was sent reach the log. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** What a call throws. */
export function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("it did not throw");
}

declare function setImmediate(callback: (value?: unknown) => void): unknown;
