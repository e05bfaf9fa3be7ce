import { type KeyboardEvent, useCallback, useState, useSyncExternalStore } from "react";
import { newId } from "tidelog";
import { useRows, useStatus } from "tidelog/react";
import type { OfflineShell } from "../service-worker/register.ts";
import { Notices } from "../shared/notices.tsx";
import { OpeningProblem } from "../shared/problem.tsx";
import { StatusLine } from "../shared/status-line.tsx";
import { StoragePanel } from "../shared/storage-panel.tsx";
import type { Work } from "../shared/task.ts";
import { Conflicts } from "./conflicts.tsx";
import { Footer } from "./footer.tsx";
import { TodoItem } from "./item.tsx";
import { give, todos } from "./log.ts";
import { todo } from "./todo.ts";
import { byCreation, hashToFilter, rowsToView } from "./view.ts";

const ORDER = { orderBy: byCreation };

export function App({ shell }: { shell: OfflineShell }) {
  const rows = useRows(todos, todo, ORDER);
  const { phase } = useStatus(todos);
  const filter = hashToFilter(useHash());
  const [notice, setNotice] = useState("");
  const { all, shown, active, completed } = rowsToView(rows, filter);
  const complain = useCallback((message: string) => setNotice(message), []);

  const toggleAll = () => {
    setNotice("");
    for (const { key } of active.length > 0 ? active : completed) {
      give(
        () => (active.length > 0 ? todos.todo(key).complete() : todos.todo(key).reopen()),
        complain,
      );
    }
  };
  const clearCompleted = () => {
    setNotice("");
    for (const { key } of completed) give(() => todos.todo(key).remove(), complain);
  };

  return (
    <>
      <section className="todoapp">
        <header className="header">
          <h1>todos</h1>
          <NewTodo
            onAdd={(title) => {
              setNotice("");
              const key = newId();
              give(() => todos.todo(key).add({ title }), complain);
            }}
          />
        </header>
        {all.length > 0 && (
          <main className="main">
            <input
              id="toggle-all"
              className="toggle-all"
              type="checkbox"
              checked={active.length === 0}
              onChange={toggleAll}
            />
            <label htmlFor="toggle-all">Mark all as complete</label>
            <ul className="todo-list">
              {shown.map((row) => (
                <TodoItem key={row.key} row={row} onRefused={complain} />
              ))}
            </ul>
          </main>
        )}
        {all.length > 0 && (
          <Footer
            left={active.length}
            done={completed.length}
            filter={filter}
            onClearCompleted={clearCompleted}
          />
        )}
      </section>
      <aside className="below">
        <StatusLine log={todos} shell={shell} />
        {notice !== "" && (
          <p className="notice" role="alert">
            {notice}
            <button type="button" onClick={() => setNotice("")}>
              Dismiss
            </button>
          </p>
        )}
        <OpeningProblem log={todos} />
        <Notices log={todos} />
        <Conflicts />
        {all.length === 0 && phase !== "opening" && (
          <p className="empty">
            Nothing to do. What you write here is kept on this device, online or not.
          </p>
        )}
        <StoragePanel log={todos} rebuild={rebuild} />
      </aside>
      <footer className="info">
        <p>Double-click to edit a todo</p>
        <p>
          <a href="/">Tidelog demos</a>
        </p>
      </footer>
    </>
  );
}

const rebuild: Work = async (signal) => {
  await todos.rebuild(todo, { signal });
  return "The list is built anew from the log";
};

function NewTodo({ onAdd }: { onAdd: (title: string) => void }) {
  const [text, setText] = useState("");
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
    const title = text.trim();
    if (title === "") return;
    onAdd(title);
    setText("");
  };
  return (
    <input
      className="new-todo"
      placeholder="What needs to be done?"
      aria-label="What needs to be done?"
      autoComplete="off"
      // biome-ignore lint/a11y/noAutofocus: the TodoMVC app specification asks for it
      autoFocus
      value={text}
      onChange={(event) => setText(event.target.value)}
      onKeyDown={onKeyDown}
    />
  );
}

function useHash(): string {
  return useSyncExternalStore(subscribeHash, () => location.hash);
}

function subscribeHash(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}
