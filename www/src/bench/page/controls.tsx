import { useId, useState } from "react";
import type { Options } from "../bench.ts";
import { OF_A_PAGE } from "../figures/all.ts";
import type { FigureId } from "../figures/figure.ts";
import { SUBJECTS } from "../subjects/registry.ts";
import type { RunState } from "./use-run.ts";

const SIZES = [300, 3_000, 10_000, 30_000, 100_000] as const;
/** What a visitor gets without choosing: a minute or so. */
const FIRST_SIZE = 10_000;
const PEERS = SUBJECTS.filter(
  ({ id }) => !["tidelog", "segments", "records", "livestore"].includes(id),
);

interface Props {
  readonly state: RunState;
  readonly start: (options: Options) => Promise<void>;
  readonly stop: () => void;
}

export function Controls({ state, start, stop }: Props) {
  const id = useId();
  const [events, setEvents] = useState<number>(FIRST_SIZE);
  const [rounds, setRounds] = useState(1);
  const [peers, setPeers] = useState<readonly string[]>(PEERS.map((peer) => peer.id));
  const [figures, setFigures] = useState<readonly FigureId[]>(OF_A_PAGE.map((figure) => figure.id));
  const running = state.phase === "running" || state.phase === "stopping";
  return (
    <form
      className="controls"
      onSubmit={(event) => {
        event.preventDefault();
        void start({ events, rounds, quick: events < 100_000, only: figures, peers });
      }}
    >
      <div className="choices">
        <label htmlFor={`${id}-events`}>
          Events
          <select
            id={`${id}-events`}
            value={events}
            disabled={running}
            onChange={({ target }) => setEvents(Number(target.value))}
          >
            {SIZES.map((size) => (
              <option key={size} value={size}>
                {size.toLocaleString("en")}
              </option>
            ))}
          </select>
        </label>
        <label htmlFor={`${id}-rounds`}>
          Rounds
          <select
            id={`${id}-rounds`}
            value={rounds}
            disabled={running}
            onChange={({ target }) => setRounds(Number(target.value))}
          >
            {[1, 3, 5].map((count) => (
              <option key={count}>{count}</option>
            ))}
          </select>
        </label>
        {running ? (
          <button type="button" onClick={stop} disabled={state.phase === "stopping"}>
            {state.phase === "stopping" ? "Stopping…" : "Stop"}
          </button>
        ) : (
          <button type="submit" className="primary" disabled={figures.length === 0}>
            Run
          </button>
        )}
      </div>
      <details>
        <summary>
          Who and what: {peers.length} of {PEERS.length} libraries, {figures.length} of{" "}
          {OF_A_PAGE.length} figures
        </summary>
        <Choice
          legend="Libraries"
          all={PEERS}
          chosen={peers}
          choose={setPeers}
          disabled={running}
        />
        <Choice
          legend="Figures"
          all={OF_A_PAGE}
          chosen={figures}
          choose={setFigures}
          disabled={running}
        />
      </details>
      <RunProgress state={state} />
    </form>
  );
}

interface ChoiceProps<Id extends string> {
  readonly legend: string;
  readonly all: readonly { readonly id: Id; readonly name: string }[];
  readonly chosen: readonly Id[];
  readonly choose: (chosen: readonly Id[]) => void;
  readonly disabled: boolean;
}

function Choice<Id extends string>({ legend, all, chosen, choose, disabled }: ChoiceProps<Id>) {
  return (
    <fieldset disabled={disabled}>
      <legend>{legend}</legend>
      {all.map(({ id, name }) => (
        <label key={id}>
          <input
            type="checkbox"
            checked={chosen.includes(id)}
            onChange={({ target }) =>
              choose(target.checked ? [...chosen, id] : chosen.filter((each) => each !== id))
            }
          />
          {name}
        </label>
      ))}
      <p className="all-or-none">
        <button type="button" onClick={() => choose(all.map(({ id }) => id))}>
          All
        </button>
        <button type="button" onClick={() => choose([])}>
          None
        </button>
      </p>
    </fieldset>
  );
}

const ENDS = {
  idle: "",
  running: "",
  stopping: "Stopping after the measurement that runs…",
  done: "Done.",
  stopped: "Stopped.",
  failed: "The run failed",
} as const;

function RunProgress({ state }: { readonly state: RunState }) {
  const { phase, label, done, total } = state;
  const running = phase === "running" || phase === "stopping";
  return (
    <div className="run-progress" data-phase={phase}>
      {running && (
        <>
          <progress value={done} max={Math.max(total, 1)} aria-label="Figures measured" />
          <p className="now">
            {done} of {total} figures · {label}
          </p>
        </>
      )}
      <p role="status">
        {ENDS[phase]}
        {phase === "failed" && `: ${label}`}
        {phase === "running" && `${done} of ${total} figures measured`}
      </p>
    </div>
  );
}
