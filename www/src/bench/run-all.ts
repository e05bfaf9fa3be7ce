/** From options to the table. */
import { Bench, type Options } from "./bench.ts";
import { FIGURES, IN_ORDER, OF_A_PAGE } from "./figures/all.ts";
import type { Figure, Measured, Row } from "./figures/figure.ts";
import type { Host } from "./host.ts";

export interface Report {
  readonly rows: readonly Row[];
  readonly environment: Environment;
}

export interface Environment {
  readonly userAgent: string;
  readonly data: string;
  /** RFC 3339 */
  readonly when: string;
  readonly rounds: number;
  readonly host: Host["kind"];
  /** Smallest step of the clock, in milliseconds. */
  readonly clockStep: number;
}

export interface Listener {
  /** `done` of `total` figures are measured. */
  onProgress(label: string, done: number, total: number): void;
  /** All rows so far, in the order of the table. */
  onRows(rows: readonly Row[]): void;
}

/** Measures what the options ask for. Rejects with the signal's reason if it is aborted; databases are deleted either way. */
export async function runAll(
  host: Host,
  options: Options,
  signal: AbortSignal,
  listener: Listener,
): Promise<Report> {
  const offered = host.kind === "harness" ? FIGURES : OF_A_PAGE;
  const wanted = IN_ORDER.filter((id) => offered.some((figure) => figure.id === id)).filter(
    (id) => options.only.length === 0 || options.only.includes(id),
  );
  const rows = new Map<string, Row>();
  const bench = new Bench(host, options, signal, ({ label }) =>
    listener.onProgress(label, rows.size, wanted.length),
  );
  bench.say("preparing");
  await bench.clean();
  try {
    const { source } = await bench.reference("base");
    for (const id of wanted) {
      const figure = FIGURES.find((each) => each.id === id);
      if (figure === undefined) continue;
      const row = await measure(bench, figure);
      rows.set(id, row);
      listener.onRows(inOrder(rows));
    }
    return {
      rows: inOrder(rows),
      environment: {
        userAgent: navigator.userAgent,
        data: `${options.events.toLocaleString("en")} ${source} loan events`,
        when: new Date().toISOString(),
        rounds: options.rounds,
        host: host.kind,
        clockStep: clockStep(),
      },
    };
  } finally {
    await bench.clean();
  }
}

function inOrder(rows: ReadonlyMap<string, Row>): readonly Row[] {
  return FIGURES.flatMap(({ id }) => rows.get(id) ?? []);
}

async function measure(bench: Bench, figure: Figure): Promise<Row> {
  bench.begin(figure.id);
  let measured: Measured = { value: undefined, bar: undefined, ok: false, peers: {} };
  await bench.attempt("this figure", async () => {
    measured = await figure.measure(bench);
  });
  const { id, name, unit, rule, better } = figure;
  const { value, bar, ok, peers, parts, detail } = measured;
  return {
    id,
    figure: name,
    value: value ?? null,
    unit,
    bar: bar ?? null,
    rule,
    ok,
    better,
    peers,
    ...(parts ? { parts } : {}),
    ...(detail ? { detail } : {}),
    without: Object.fromEntries(bench.without),
    wrong: [...bench.wrong],
  };
}

function clockStep(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i += 1) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    least = Math.min(least, now - start);
  }
  return least;
}
