/** Work that a person started: how far it is, how it ended, and ending it early. */
import { useCallback, useEffect, useRef, useState } from "react";

/** How far; without a total only that something happens. */
export interface TaskProgress {
  readonly words: string;
  readonly done?: number;
  readonly total?: number;
}

export type TaskState =
  | { readonly kind: "idle" }
  | { readonly kind: "running"; readonly label: string; readonly progress: TaskProgress }
  | { readonly kind: "done"; readonly words: string }
  | { readonly kind: "failed"; readonly words: string };

/** Gets a signal that says when to stop, and tells how far it is; gives what to say at the end. */
export type Work = (signal: AbortSignal, tell: (progress: TaskProgress) => void) => Promise<string>;

export interface Task {
  readonly state: TaskState;
  readonly start: (label: string, work: Work) => void;
  readonly cancel: () => void;
}

/** One task at a time; it is cancelled when its page part goes away. */
export function useTask(): Task {
  const [state, setState] = useState<TaskState>({ kind: "idle" });
  const running = useRef<AbortController>(undefined);
  const cancel = useCallback(() => running.current?.abort(), []);
  useEffect(() => cancel, [cancel]);
  const start = useCallback((label: string, work: Work) => {
    running.current?.abort();
    const controller = new AbortController();
    const { signal } = controller;
    running.current = controller;
    const show = (next: TaskState) => {
      if (running.current === controller) setState(next);
    };
    show({ kind: "running", label, progress: { words: "" } });
    work(signal, (progress) => show({ kind: "running", label, progress })).then(
      (words) => show({ kind: "done", words }),
      (thrown: unknown) =>
        show(
          signal.aborted
            ? { kind: "done", words: `${label}: cancelled` }
            : { kind: "failed", words: thrown instanceof Error ? thrown.message : String(thrown) },
        ),
    );
  }, []);
  return { state, start, cancel };
}
