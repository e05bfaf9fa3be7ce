import type { Filter } from "./view.ts";

const ROUTES: readonly { filter: Filter; hash: string; words: string }[] = [
  { filter: "all", hash: "#/", words: "All" },
  { filter: "active", hash: "#/active", words: "Active" },
  { filter: "completed", hash: "#/completed", words: "Completed" },
];

interface FooterProps {
  readonly left: number;
  readonly done: number;
  readonly filter: Filter;
  readonly onClearCompleted: () => void;
}

export function Footer({ left, done, filter, onClearCompleted }: FooterProps) {
  return (
    <footer className="footer">
      <span className="todo-count" data-testid="todo-count">
        <strong>{left}</strong> {left === 1 ? "item" : "items"} left
      </span>
      <ul className="filters">
        {ROUTES.map(({ filter: name, hash, words }) => (
          <li key={name}>
            <a
              href={hash}
              className={name === filter ? "selected" : undefined}
              aria-current={name === filter ? "page" : undefined}
            >
              {words}
            </a>
          </li>
        ))}
      </ul>
      {done > 0 && (
        <button type="button" className="clear-completed" onClick={onClearCompleted}>
          Clear completed
        </button>
      )}
    </footer>
  );
}
