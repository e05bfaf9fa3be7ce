import { useId } from "react";
import { useStatus } from "tidelog/react";
import { formatCount } from "../shared/status.ts";
import { loans } from "./log.ts";
import type { Past } from "./past.ts";

/** A slider over the whole log: the desk as it was after any event. */
export function TimeTravel({ past }: { past: Past }) {
  const id = useId();
  const { phase, position: last } = useStatus(loans);
  const { position = last, problem, choose } = past;
  if (phase === "opening" || last === 0) return null;
  return (
    <div className="travel" data-testid="time-travel">
      <label htmlFor={id}>Show the desk as of</label>
      <input
        id={id}
        type="range"
        min={1}
        max={last}
        value={Math.min(position, last)}
        aria-valuetext={words(past, last)}
        onChange={(event) => {
          const chosen = event.target.valueAsNumber;
          choose(chosen < last ? chosen : undefined);
        }}
      />
      {/* Read with the slider, as its value text. */}
      <span className="value" aria-hidden="true">
        {words(past, last)}
      </span>
      <button
        type="button"
        disabled={past.position === undefined}
        onClick={() => choose(undefined)}
      >
        Now
      </button>
      {problem !== undefined && <p role="alert">{problem}</p>}
    </div>
  );
}

function words({ position, view, problem }: Past, last: number): string {
  if (position === undefined) return "now";
  const event = `event ${formatCount(position)} of ${formatCount(last)}`;
  return view === undefined && problem === undefined ? `${event}…` : event;
}
