import "../../shared/theme.css";
import "./bench.css";
import { mount } from "../../shared/mount.tsx";
import { DEFAULTS, type Options } from "../bench.ts";
import type { Row } from "../figures/figure.ts";
import { type Harness, hostOf } from "../host.ts";
import { type Report, runAll } from "../run-all.ts";
import { App } from "./app.tsx";

declare global {
  interface Window {
    /** Put here by `npm run bench`, before this page's script runs. */
    benchHarness?: Harness & {
      progress(label: string, done: number, total: number): Promise<void>;
      rows(rows: readonly Row[]): Promise<void>;
    };
    /** Runs the benchmark from the console or the harness. */
    bench?: (options: Partial<Options>) => Promise<Report>;
  }
}

window.bench = (options) => {
  const harness = window.benchHarness;
  return runAll(hostOf(harness), { ...DEFAULTS, ...options }, new AbortController().signal, {
    onProgress: (label, done, total) => void harness?.progress(label, done, total),
    onRows: (rows) => void harness?.rows(rows),
  });
};

mount(<App />);
