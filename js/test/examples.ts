/** The examples of README.md: each stands there as it runs here. */
import { z } from "zod";
import type { Log, RecordedEvent } from "../src/index.js";
import { projection, stream } from "../src/index.js";
import type { note, todo } from "./fixtures.js";

type App = Log<{ todo: typeof todo; note: typeof note }>;

// #region read
export async function read(log: App, show: (event: RecordedEvent) => void) {
  for await (const event of log.read({ direction: "backward", limit: 50 })) show(event);
  for await (const event of log.read({ from: { time: new Date("2026-01-01") } })) show(event);
  for await (const event of log.todo("a").read({ from: 3 })) show(event); // from its version 3 on
}
// #endregion

// #region storage
export async function storage(log: App, button: (click: () => void) => void) {
  log.storage.subscribe(({ events, bytes, quota, persisted, gaps }) =>
    console.log(events, bytes, quota, persisted, gaps),
  );
  button(() => void log.storage.persist()); // Firefox asks the user; others decide by themselves
  await log.storage.compact();
  await log.storage.snapshot();
}
// #endregion

// #region transfer
export async function transfer(log: App, other: App, signal: AbortSignal) {
  const lines = log.export({ signal, onProgress: ({ done, total }) => console.log(done / total) });
  const { events, skipped } = await other.import(lines, { signal });
  const mine = await new Response(log.export({ what: "unconfirmed" })).text(); // exists nowhere else
  return { events, skipped, mine };
}
// #endregion

// #region rebuild
export async function rebuild(log: App) {
  const perType = projection({
    name: "per type",
    version: 1, // raise it whenever `evolve` means something else
    initial: {} as Record<string, number>,
    evolve: (counts, { type }) => ({ ...counts, [type]: (counts[type] ?? 0) + 1 }),
  });
  await log.rebuild(perType, { onProgress: ({ done, total }) => console.log(done / total) });
  await log.verify(); // every checksum and hash of the log on this device
  return log.fold(perType).getSnapshot();
}
// #endregion

// #region merging
export function merging() {
  const page = stream("page", {
    events: { edited: z.object({ title: z.string(), body: z.string() }) },
    initial: { title: "", body: "" },
    evolve: { edited: (_state, data) => data },
    commands: ({ emit }) => ({
      edit: (state, change: { title?: string; body?: string }) =>
        emit.edited({ ...state, ...change }),
    }),
    policy: { edit: "merge" },
    merge: ({ base, theirs, mine }, { emit }) => {
      if (theirs.body !== base.body && mine.body !== base.body) return undefined; // for a person
      const title = mine.title !== base.title ? mine.title : theirs.title;
      const body = mine.body !== base.body ? mine.body : theirs.body;
      return emit.edited({ title, body });
    },
  });
  return page;
}
// #endregion

const list = stream("list", {
  events: { opened: z.object({ room: z.number() }), filled: z.object({ card: z.string() }) },
  initial: { room: 0, cards: 0 },
  evolve: {
    opened: (state, { room }) => ({ ...state, room }),
    filled: (state) => ({ ...state, cards: state.cards + 1 }),
  },
  commands: ({ emit }) => ({ open: (_state, room: number) => emit.opened({ room }) }),
});

// #region elsewhere
export function elsewhere() {
  const card = stream("card", {
    events: { put: z.object({ list: z.string() }), paid: z.object({ amount: z.number() }) },
    initial: { list: "", balance: 0 },
    evolve: {
      put: (state, { list }) => ({ ...state, list }),
      paid: (state, { amount }) => ({ ...state, balance: state.balance + amount }),
    },
    commands: ({ emit, refuse }) => ({
      put: (_state, key: string, context) => {
        const target = context.read(list, key);
        if (target.version === 0) return refuse("no_list");
        if (target.state.cards >= target.state.room) return refuse("full");
        return [emit.put({ list: key }), target.emit.filled({ card: context.key })];
      },
      pay: (state, to: string, context) =>
        state.balance < 1
          ? refuse("broke")
          : [emit.paid({ amount: -1 }), context.read(to).emit.paid({ amount: 1 })],
    }),
  });
  return { card, list };
}
// #endregion
