/** One run at a time, as state of the page. */
import { useRef, useState } from "react";
import type { Options } from "../bench.ts";
import type { Row } from "../figures/figure.ts";
import { hostOf } from "../host.ts";
import { type Environment, runAll } from "../run-all.ts";

export interface RunState {
  readonly phase: "idle" | "running" | "stopping" | "done" | "stopped" | "failed";
  readonly label: string;
  readonly done: number;
  readonly total: number;
  readonly rows: readonly Row[];
  readonly environment: Environment | undefined;
}

const IDLE: RunState = {
  phase: "idle",
  label: "",
  done: 0,
  total: 0,
  rows: [],
  environment: undefined,
};

export function useRun() {
  const [state, setState] = useState(IDLE);
  const running = useRef<AbortController | undefined>(undefined);
  const change = (part: Partial<RunState>) => setState((before) => ({ ...before, ...part }));

  const start = async (options: Options) => {
    const controller = new AbortController();
    running.current = controller;
    setState({ ...IDLE, phase: "running", label: "preparing" });
    try {
      const report = await runAll(hostOf(undefined), options, controller.signal, {
        onProgress: (label, done, total) => change({ label, done, total }),
        onRows: (rows) => change({ rows }),
      });
      change({ phase: "done", rows: report.rows, environment: report.environment, label: "" });
    } catch (thrown) {
      if (controller.signal.aborted) change({ phase: "stopped", label: "" });
      else change({ phase: "failed", label: thrown instanceof Error ? thrown.message : "" });
    }
  };
  const stop = () => {
    running.current?.abort(new DOMException("stopped", "AbortError"));
    change({ phase: "stopping" });
  };
  return { state, start, stop };
}
