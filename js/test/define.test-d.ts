import { expectTypeOf, test } from "vitest";
import { z } from "zod";
import { type StateOf, stream } from "../src/define.js";
import type { CommandsOf, Log, StreamHandle } from "../src/log-types.js";
import type { Receipt } from "../src/types.js";

const todo = stream("todo", {
  events: {
    added: z.object({ title: z.string() }),
    renamed: {
      schema: z.object({ title: z.string(), loud: z.boolean().default(false) }),
      version: 2,
      upcast: { 1: (data) => ({ title: data.name }) },
      inverse: (data, before) => {
        expectTypeOf(data).toEqualTypeOf<{ title: string; loud: boolean }>();
        expectTypeOf(before).toEqualTypeOf<{ title: string; done: boolean }>();
        return { event: "renamed", data: { title: before.title } };
      },
    },
    completed: z.object({}),
  },
  initial: { title: "", done: false },
  evolve: {
    added: (state, data) => {
      expectTypeOf(state).toEqualTypeOf<{ title: string; done: boolean }>();
      expectTypeOf(data).toEqualTypeOf<{ title: string }>();
      return { ...state, ...data };
    },
    renamed: (state, data) => ({ ...state, title: data.title }),
    completed: (state, _data, event) => {
      expectTypeOf(event.position).toEqualTypeOf<number | undefined>();
      return { ...state, done: true };
    },
  },
  commands: ({ emit, refuse }) => ({
    add: (_state, args: { title: string }, context) =>
      context.version > 0 ? refuse("exists") : emit.added(args),
    rename: (state, args: { title: string; loud?: boolean }) =>
      state.title === args.title ? [] : [emit.renamed(args)],
    complete: (state) => (state.done ? [] : [emit.completed({})]),
    stamp: (_state, _args, context) => emit.added({ title: String(context.now) }),
    poke: (_state, _args?: { hard: boolean }) => [],
  }),
  policy: { rename: "rebase" },
});

test("a definition infers its state, payloads and commands", () => {
  expectTypeOf<StateOf<typeof todo>>().toEqualTypeOf<{ title: string; done: boolean }>();
  expectTypeOf<CommandsOf<typeof todo>>().toEqualTypeOf<{
    readonly add: (args: { title: string }) => Receipt;
    readonly rename: (args: { title: string; loud?: boolean }) => Receipt;
    readonly complete: () => Receipt;
    readonly stamp: () => Receipt;
    readonly poke: (args?: { hard: boolean }) => Receipt;
  }>();
});

test("a log has a function for each kind", () => {
  expectTypeOf<Log<{ todo: typeof todo }>["todo"]>().toEqualTypeOf<
    (key: string) => StreamHandle<typeof todo>
  >();
  expectTypeOf<ReturnType<Log<{ todo: typeof todo }>["rows"]>["getSnapshot"]>().toBeFunction();
});

test("what does not fit is refused by the compiler", () => {
  const schema = z.object({ n: z.number() });
  const unfolded = () =>
    stream("x", {
      events: { a: schema, b: schema },
      initial: 0,
      // @ts-expect-error an event without a fold
      evolve: { a: (state: number) => state },
    });
  const wrong = () =>
    stream("x", {
      events: { a: schema },
      initial: 0,
      evolve: { a: (state, data) => state + data.n },
      commands: ({ emit }) => ({
        // @ts-expect-error a payload of the wrong type
        go: () => emit.a({ n: "1" }),
      }),
    });
  const policy = () =>
    stream("x", {
      events: { a: schema },
      initial: 0,
      evolve: { a: (state) => state },
      commands: ({ emit }) => ({ go: () => emit.a({ n: 1 }) }),
      // @ts-expect-error a policy for no command
      policy: { went: "ask" },
    });
  expectTypeOf(unfolded).toBeFunction();
  expectTypeOf(wrong).toBeFunction();
  expectTypeOf(policy).toBeFunction();
});

test("a fold function sees every type of the kind", () => {
  const loan = stream("loan", {
    prefix: "",
    events: {},
    initial: { last: "", events: 0 },
    evolve: (state, event) => {
      expectTypeOf(event.name).toEqualTypeOf<string>();
      expectTypeOf(event.data).toEqualTypeOf<unknown>();
      return { last: event.type, events: state.events + 1 };
    },
  });
  expectTypeOf<StateOf<typeof loan>>().toEqualTypeOf<{ last: string; events: number }>();
});

test("a command reads and writes other streams as their definitions say", () => {
  const list = stream("list", {
    events: { filled: z.object({ card: z.string() }) },
    initial: { cards: 0 },
    evolve: { filled: (state) => ({ cards: state.cards + 1 }) },
  });
  stream("card", {
    events: { paid: z.object({ amount: z.number() }) },
    initial: { balance: 0 },
    evolve: { paid: (state, { amount }) => ({ balance: state.balance + amount }) },
    commands: ({ emit }) => ({
      fill: (_state, on: string, context) => {
        const target = context.read(list, on);
        expectTypeOf(target.state).toEqualTypeOf<{ cards: number }>();
        expectTypeOf(target.version).toEqualTypeOf<number>();
        // @ts-expect-error a payload of the wrong type
        target.emit.filled({ card: 1 });
        // @ts-expect-error an event of another kind
        target.emit.paid({ amount: 1 });
        return [emit.paid({ amount: -1 }), target.emit.filled({ card: context.key })];
      },
      pay: (state, to: string, context) => {
        const other = context.read(to);
        expectTypeOf(other.state).toEqualTypeOf<{ balance: number }>();
        return state.balance > 0 ? other.emit.paid({ amount: 1 }) : [];
      },
    }),
  });
});
