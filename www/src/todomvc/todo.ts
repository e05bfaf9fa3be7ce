/** The stream kind `todo`: what can happen to a todo, and what a command decides. */
import { stream } from "tidelog";
import * as z from "zod";
import "../shared/zod-setup.ts";

export interface Todo {
  readonly title: string;
  readonly done: boolean;
  readonly removed: boolean;
}

const nothing = z.object({});
const initial: Todo = { title: "", done: false, removed: false };

export const todo = stream("todo", {
  version: 1,
  events: {
    added: z.object({ title: z.string().min(1) }),
    renamed: z.object({ title: z.string().min(1) }),
    completed: nothing,
    reopened: nothing,
    removed: nothing,
  },
  initial,
  evolve: {
    added: (state, { title }) => ({ ...state, title }),
    renamed: (state, { title }) => ({ ...state, title }),
    completed: (state) => ({ ...state, done: true }),
    reopened: (state) => ({ ...state, done: false }),
    removed: (state) => ({ ...state, removed: true }),
  },
  commands: ({ emit, refuse }) => {
    /** What a command on a todo that is not there says. */
    const missing = (state: Todo, version: number) => {
      if (version === 0) return refuse("not_found", "There is no such todo.");
      return state.removed ? refuse("removed", "Someone removed this todo meanwhile.") : undefined;
    };
    return {
      add: (_, { title }: { title: string }, { version }) =>
        version > 0 ? refuse("exists", "This todo exists already.") : emit.added({ title }),
      rename: (state, { title }: { title: string }, { version }) =>
        missing(state, version) ?? (title === state.title ? [] : emit.renamed({ title })),
      complete: (state, _: undefined, { version }) =>
        missing(state, version) ?? (state.done ? [] : emit.completed({})),
      reopen: (state, _: undefined, { version }) =>
        missing(state, version) ?? (state.done ? emit.reopened({}) : []),
      remove: (state) => (state.removed ? [] : emit.removed({})),
    };
  },
  // Two titles do not merge: people choose. Everything else can be decided again.
  policy: { add: "rerun", rename: "ask", complete: "rerun", reopen: "rerun", remove: "rerun" },
});
