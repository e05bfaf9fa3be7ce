/** A past state of the desk: chosen by position, folded from the log by `log.at`. */
import { useEffect, useState } from "react";
import type { PastView } from "tidelog";
import { loans } from "./log.ts";

/** Folding starts when the slider has rested this long. */
const REST_MS = 200;

export interface Past {
  /** The chosen position; undefined: now. */
  readonly position: number | undefined;
  /** What it was then; undefined while it is folded, and for now. */
  readonly view: PastView | undefined;
  /** Why it cannot be shown. */
  readonly problem: string | undefined;
  readonly choose: (position: number | undefined) => void;
}

export function usePast(): Past {
  const [position, choose] = useState<number>();
  const [found, setFound] = useState<{ view?: PastView; problem?: string }>({});
  useEffect(() => {
    setFound({});
    if (position === undefined) return;
    let isWanted = true;
    const timer = setTimeout(() => {
      loans.at({ position }).then(
        (view) => isWanted && setFound({ view }),
        (error: unknown) =>
          isWanted && setFound({ problem: error instanceof Error ? error.message : String(error) }),
      );
    }, REST_MS);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [position]);
  return { position, view: found.view, problem: found.problem, choose };
}
