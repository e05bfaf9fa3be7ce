import type { Part, Row } from "../figures/figure.ts";
import { rowToPlot } from "../plot.ts";
import { formatFigure } from "../stats.ts";
import { BarPlot } from "./bar-plot.tsx";
import { Verdict } from "./summary.tsx";

/** One figure: what was held against what, and everyone's bar. */
export function FigureCard({ row }: { readonly row: Row }) {
  const { note, events } = row.detail ?? {};
  const without = Object.entries(row.without);
  return (
    <article className="card" id={row.id} aria-labelledby={`${row.id}-title`}>
      <header>
        <h2 id={`${row.id}-title`}>{row.figure}</h2>
        <Verdict row={row} />
      </header>
      <p className="rule">
        {row.unit}, {row.better} is better · bar: {row.rule}
      </p>
      <BarPlot plot={rowToPlot(row)} unit={row.unit} />
      {row.parts && (
        <ul className="parts">
          {row.parts.map((part) => (
            <li key={part.name} data-ok={part.ok}>
              {partToWords(part)}
            </li>
          ))}
        </ul>
      )}
      {typeof events === "number" && (
        <p className="note">
          Measured on {events.toLocaleString("en")} events
          {typeof note === "string" && `: ${note}`}.
        </p>
      )}
      {row.wrong.map((reason) => (
        <p key={reason} className="problem" role="alert">
          {reason}
        </p>
      ))}
      {without.length > 0 && (
        <details>
          <summary>Not in this row: {without.map(([name]) => name).join(", ")}</summary>
          <ul>
            {without.map(([name, reason]) => (
              <li key={name}>
                {name}: {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
    </article>
  );
}

function partToWords({ name, value, bar, unit, ok }: Part): string {
  const said = (each: number | null) =>
    each === null ? "not measured" : `${formatFigure(each)} ${unit}`;
  return `${ok ? "✓" : "✗"} ${name}: ${said(value)}, bar ${said(bar)}`;
}
