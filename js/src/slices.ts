/** Work in slices, so that the page can paint and take input between them. */

/** Milliseconds of work between two chances for the page. */
const SLICE = 8;

/** True once a slice that begins now is over. */
export function deadline(): () => boolean {
  const end = performance.now() + SLICE;
  return () => performance.now() >= end;
}

/** Resolves in a task of its own. Not throttled in hidden tabs. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Milliseconds after which "when idle" is over. */
const IDLE = 2000;

/** Calls `run` when the page has nothing better to do. */
export function whenIdle(run: () => void): void {
  if (typeof requestIdleCallback === "function") requestIdleCallback(run, { timeout: IDLE });
  else setTimeout(run, 100);
}
