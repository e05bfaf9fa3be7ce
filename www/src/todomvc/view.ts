/** What TodoMVC shows of the todos: pure functions. */
import type { Row } from "tidelog";
import type { Todo } from "./todo.ts";

export type TodoRow = Row<Todo>;
export type Filter = "all" | "active" | "completed";

export interface TodoView {
  readonly all: readonly TodoRow[];
  /** What the route shows. */
  readonly shown: readonly TodoRow[];
  readonly active: readonly TodoRow[];
  readonly completed: readonly TodoRow[];
}

export function rowsToView(rows: readonly TodoRow[], filter: Filter): TodoView {
  const all = rows.filter((row) => !row.state.removed);
  const active = all.filter((row) => !row.state.done);
  const completed = all.filter((row) => row.state.done);
  const shown = { all, active, completed }[filter];
  return { all, shown, active, completed };
}

/** The route of the TodoMVC app specification: `#/`, `#/active`, `#/completed`. */
export function hashToFilter(hash: string): Filter {
  if (hash === "#/active") return "active";
  if (hash === "#/completed") return "completed";
  return "all";
}

/** In the order they were made; keys are time-ordered, so they settle a tie. */
export function byCreation(a: TodoRow, b: TodoRow): number {
  return a.createdAt - b.createdAt || (a.key < b.key ? -1 : Number(a.key > b.key));
}
