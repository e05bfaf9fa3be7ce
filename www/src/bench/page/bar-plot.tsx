import type { Plot } from "../plot.ts";
import { formatFigure } from "../stats.ts";

interface Props {
  readonly plot: Plot;
  readonly unit: string;
}

/** Bars as a list: the words are text, so that the drawing adds nothing that is not said. */
export function BarPlot({ plot, unit }: Props) {
  const { bars, limit } = plot;
  if (bars.length === 0) return <p className="note">Nothing could be measured.</p>;
  return (
    <ol className="plot">
      {bars.map(({ name, value, share, isTidelog }) => (
        <li key={name} className={isTidelog ? "ours" : undefined}>
          <span className="name">{name}</span>
          <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            <rect className="track" width="100" height="10" />
            {/* Never quite nothing: what is small is still there. */}
            <rect className="value" width={Math.max(0.4, share * 100)} height="10" />
            {limit !== undefined && (
              <line className="limit" x1={limit * 100} x2={limit * 100} y1="0" y2="10" />
            )}
          </svg>
          <span className="figure">
            {formatFigure(value)} {unit}
          </span>
        </li>
      ))}
    </ol>
  );
}
