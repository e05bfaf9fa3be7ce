import { memo, useCallback, useEffect, useRef, useState } from "react";
import { give, todos } from "./log.ts";
import type { TodoRow } from "./view.ts";

interface TodoItemProps {
  readonly row: TodoRow;
  readonly onRefused: (message: string) => void;
}

const SYNC_WORDS = {
  pending: "Pending: saved on this device, not synced yet",
  synced: "Synced",
  conflict: "Conflict: see below the list",
} as const;

export const TodoItem = memo(function TodoItem({ row, onRefused }: TodoItemProps) {
  const { key, state, sync } = row;
  /** The version that the person saw when they began to edit. */
  const [seen, setSeen] = useState<number>();
  const editing = seen !== undefined;

  const toggle = () =>
    give(() => (state.done ? todos.todo(key).reopen() : todos.todo(key).complete()), onRefused);
  const remove = () => give(() => todos.todo(key).remove(), onRefused);

  const save = useCallback(
    (text: string): boolean => {
      const title = text.trim();
      if (seen === undefined) return true;
      if (title === "") {
        give(() => todos.todo(key).remove(), onRefused);
      } else {
        const receipt = give(() => todos.todo(key).seen(seen).rename({ title }), onRefused);
        if (receipt?.reason?.code === "version_conflict") {
          onRefused(
            "This todo changed while you were editing it. Your text is still there: save again to use it.",
          );
          setSeen(todos.todo(key).version);
          return false;
        }
      }
      setSeen(undefined);
      return true;
    },
    [key, seen, onRefused],
  );
  const cancel = useCallback(() => setSeen(undefined), []);

  return (
    <li
      className={[state.done && "completed", editing && "editing"].filter(Boolean).join(" ")}
      data-testid="todo-item"
      data-sync={sync}
    >
      <div className="view">
        <input
          className="toggle"
          type="checkbox"
          aria-label="Toggle Todo"
          checked={state.done}
          onChange={toggle}
        />
        {/* biome-ignore lint/a11y/noLabelWithoutControl: the TodoMVC app specification's markup */}
        <label data-testid="todo-title" onDoubleClick={() => setSeen(row.version)}>
          {state.title === "" ? <em className="erased">Erased</em> : state.title}
        </label>
        {/* Named by attribute: the text of an item is its title and nothing else. */}
        <span className="sync" role="img" aria-label={SYNC_WORDS[sync]} title={SYNC_WORDS[sync]} />
        <button type="button" className="destroy" aria-label="Delete" onClick={remove} />
      </div>
      {editing && <Editor title={state.title} onSave={save} onCancel={cancel} />}
    </li>
  );
});

interface EditorProps {
  /** The title to begin with. */
  readonly title: string;
  /** True: saved, the editor goes. False: it stays, with the text. */
  readonly onSave: (text: string) => boolean;
  readonly onCancel: () => void;
}

function Editor({ title, onSave, onCancel }: EditorProps) {
  const input = useRef<HTMLInputElement>(null);
  /** Escape and Enter take the input away, which blurs it: that blur must not save. */
  const done = useRef(false);
  const save = useCallback(() => {
    if (done.current || input.current === null) return;
    done.current = true;
    done.current = onSave(input.current.value);
  }, [onSave]);

  useEffect(() => {
    const { current } = input;
    current?.focus();
    current?.setSelectionRange(current.value.length, current.value.length);
  }, []);
  useEffect(() => {
    const { current } = input;
    // The DOM's own event: React's `onBlur` is `focusout`, which a dispatched `blur` does not reach.
    current?.addEventListener("blur", save);
    return () => current?.removeEventListener("blur", save);
  }, [save]);

  return (
    <input
      ref={input}
      className="edit"
      aria-label="Edit"
      autoComplete="off"
      defaultValue={title}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return;
        if (event.key === "Enter") {
          save();
        } else if (event.key === "Escape") {
          done.current = true;
          onCancel();
        }
      }}
    />
  );
}
