import { useEffect, useState } from "react";
import type { ParkedCommit, Receipt, RecordedEvent } from "tidelog";
import { useParked } from "tidelog/react";
import { plural } from "../shared/status.ts";
import { give, todos } from "./log.ts";
import { todo } from "./todo.ts";
import { authorToWords, eventsToSentences, reasonToWords, titleAt } from "./words.ts";

/** Commits that wait for a person: what each side did, and the ways out. */
export function Conflicts() {
  const parked = useParked(todos);
  if (parked.length === 0) return null;
  return (
    <section className="conflicts" data-testid="conflicts" aria-labelledby="conflicts-title">
      <h2 id="conflicts-title">
        {plural(parked.length, "change needs", "changes need")} your decision
      </h2>
      <ul>
        {parked.map((commit) => (
          <Conflict key={commit.id} commit={commit} />
        ))}
      </ul>
    </section>
  );
}

function Conflict({ commit }: { commit: ParkedCommit }) {
  const [problem, setProblem] = useState("");
  const title = useTitleBefore(commit);
  const mine = eventsToSentences(commit.mine, title, () => "You");
  const theirs = eventsToSentences(commit.theirs, title, (event) =>
    authorToWords(event, todos.user),
  );
  const { id, reason } = commit;
  /** Nothing can be written there any more. */
  const closed = reason.cause === "stream_tombstoned";
  const resolve = (how: () => Receipt) => {
    setProblem("");
    give(how, setProblem);
  };

  return (
    <li data-testid="conflict" data-commit={id}>
      <div className="sides">
        <Side heading="Yours" sentences={mine} />
        <Side heading="Theirs" sentences={theirs} />
      </div>
      <p className="why">{reasonToWords(commit)}</p>
      <div className="ways">
        {!closed && (
          <>
            <button
              type="button"
              title="Decide again on the todo as it is now"
              onClick={() => resolve(() => todos.parked.retry(id))}
            >
              Retry
            </button>
            <button
              type="button"
              title="Put your change on top of theirs"
              onClick={() => resolve(() => todos.parked.rebase(id))}
            >
              Keep mine
            </button>
          </>
        )}
        <button
          type="button"
          title="Drop your change for good"
          onClick={() => {
            setProblem("");
            todos.parked.discard(id).catch((error: unknown) => {
              setProblem(error instanceof Error ? error.message : String(error));
            });
          }}
        >
          Discard mine
        </button>
      </div>
      {problem !== "" && (
        <p className="why" role="alert">
          {problem}
        </p>
      )}
    </li>
  );
}

function Side({ heading, sentences }: { heading: string; sentences: readonly string[] }) {
  return (
    <div>
      <h3>{heading}</h3>
      {sentences.length === 0 && <p>Nothing.</p>}
      {sentences.map((sentence, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a commit's sentences never change places
        <p key={i}>{sentence}</p>
      ))}
    </div>
  );
}

/** The title on which both sides built, out of the stream's history. */
function useTitleBefore(commit: ParkedCommit): string | undefined {
  const [title, setTitle] = useState<string>();
  useEffect(() => {
    let shown = true;
    const first = commit.theirs[0] ?? commit.mine[0];
    if (first === undefined) return;
    todos
      .history(todo, first.key)
      .then((history: readonly RecordedEvent[]) => {
        if (shown) setTitle(titleAt(history, first.version - 1));
      })
      .catch(() => {
        // Without the old title the sentences say "this todo"; the log's own status tells what is wrong.
      });
    return () => {
      shown = false;
    };
  }, [commit]);
  return title;
}
