import type { Row } from "../figures/figure.ts";
import type { Environment } from "../run-all.ts";
import { formatFigure } from "../stats.ts";

interface Props {
  readonly rows: readonly Row[];
  readonly environment: Environment | undefined;
  readonly busy: boolean;
}

export function Summary({ rows, environment, busy }: Props) {
  return (
    <section className="summary" aria-label="All figures" aria-busy={busy}>
      <div className="scroll">
        <table>
          <caption className="visually-hidden">Figures of Tidelog and their bars</caption>
          <thead>
            <tr>
              <th scope="col">Figure</th>
              <th scope="col">Tidelog</th>
              <th scope="col">Bar</th>
              <th scope="col">Held</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id} data-testid="figure-row" data-figure={row.id}>
                <th scope="row">
                  <a href={`#${row.id}`}>{row.figure}</a>
                </th>
                <td>
                  {formatFigure(row.value ?? Number.NaN)} {row.unit}
                </td>
                <td>
                  {formatFigure(row.bar ?? Number.NaN)} {row.unit}
                </td>
                <td>
                  <Verdict row={row} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {environment && <About rows={rows} environment={environment} />}
    </section>
  );
}

export function Verdict({ row }: { readonly row: Row }) {
  if (row.wrong.length > 0) return <span className="verdict wrong">Wrong result</span>;
  if (row.value === null || row.bar === null) {
    return <span className="verdict none">Not measured</span>;
  }
  return row.ok ? (
    <span className="verdict held">✓ Yes</span>
  ) : (
    <span className="verdict missed">✗ No</span>
  );
}

function About({ rows, environment }: Pick<Props, "rows"> & { environment: Environment }) {
  const { userAgent, data, when, rounds } = environment;
  const save = () => {
    const blob = new Blob([JSON.stringify({ environment, rows }, undefined, 2)], {
      type: "application/json",
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "tidelog-bench.json";
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return (
    <div className="about">
      <dl>
        <dt>Data</dt>
        <dd>
          {data}, {rounds === 1 ? "one round" : `medians of ${rounds} rounds`}
        </dd>
        <dt>When</dt>
        <dd>
          <time dateTime={when}>{new Date(when).toLocaleString("en-GB")}</time>
        </dd>
        <dt>Browser</dt>
        <dd>{userAgent}</dd>
      </dl>
      <button type="button" onClick={save}>
        Save as JSON
      </button>
    </div>
  );
}
