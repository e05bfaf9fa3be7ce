import { SUBJECTS } from "../subjects/registry.ts";
import { Controls } from "./controls.tsx";
import { FigureCard } from "./figure-card.tsx";
import { Subjects } from "./subjects.tsx";
import { Summary } from "./summary.tsx";
import { useRun } from "./use-run.ts";

/** Those that this page can load. */
const OTHERS = SUBJECTS.filter(({ id }) => id !== "tidelog" && id !== "livestore").length;

export function App() {
  const { state, start, stop } = useRun();
  const { phase, rows, environment } = state;
  return (
    <main className="bench">
      <header>
        <p className="back">
          <a href="/">Tidelog</a>
        </p>
        <h1>Benchmark</h1>
        <p className="lead">
          Tidelog beside {OTHERS} other ways to keep a log of events in the browser, measured in
          yours. Nothing is loaded before you start, nothing leaves this device, and what was
          written is deleted at the end.
        </p>
      </header>
      <Controls state={state} start={start} stop={stop} />
      {rows.length > 0 && (
        <>
          <Summary rows={rows} environment={environment} busy={phase === "running"} />
          <section className="cards" aria-label="Figures one by one">
            {rows.map((row) => (
              <FigureCard key={row.id} row={row} />
            ))}
          </section>
        </>
      )}
      <Subjects />
    </main>
  );
}
