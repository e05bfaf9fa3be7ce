import { startTransition, useEffect, useState } from "react";
import type { Live } from "tidelog";

/**
 * A live value, rendered at most once in `interval` milliseconds and in a transition: while a quarter of
 * a million events arrive, typing and scrolling come first. The last change is always rendered.
 */
export function useSampled<T>(live: Live<T>, interval: number): T {
  const [value, setValue] = useState(live.getSnapshot);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const take = () => {
      timer = undefined;
      const next = live.getSnapshot();
      startTransition(() => setValue(next));
    };
    const unsubscribe = live.subscribe(() => {
      timer ??= setTimeout(take, interval);
    });
    take();
    return () => {
      clearTimeout(timer);
      unsubscribe();
    };
  }, [live, interval]);
  return value;
}
