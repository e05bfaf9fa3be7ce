/** Registers the service worker and tells the page how far it is. */
import type { Live } from "tidelog";

/** `none`: not built in or not supported · `installing` · `ready`: works offline · `update`: a new version waits. */
export type OfflineState = "none" | "installing" | "ready" | "update" | "failed";

export interface OfflineShell extends Live<OfflineState> {
  /** Lets the waiting version take over; the page reloads once it has. */
  update(): void;
}

/**
 * Installs `/sw.js` for the whole site. The state is also on `<html data-offline>`, so that a person
 * with the inspector open, or a test, can see when the page no longer needs the server.
 */
export function registerServiceWorker(): OfflineShell {
  const listeners = new Set<(state: OfflineState) => void>();
  let state: OfflineState = "none";
  let waiting: ServiceWorker | undefined;

  const set = (next: OfflineState) => {
    state = next;
    document.documentElement.dataset.offline = next;
    for (const listener of listeners) listener(next);
  };
  const watch = (worker: ServiceWorker | null, isUpdate: boolean) => {
    worker?.addEventListener("statechange", () => {
      if (isUpdate && worker.state === "installed") {
        waiting = worker;
        set("update");
      }
    });
  };

  if (import.meta.env.PROD && "serviceWorker" in navigator) {
    const container = navigator.serviceWorker;
    set("installing");
    container
      .register("/sw.js", { scope: "/", updateViaCache: "none" })
      .then(async (registration) => {
        watch(registration.installing, registration.active !== null);
        registration.addEventListener("updatefound", () => {
          watch(registration.installing, registration.active !== null);
        });
        await container.ready;
        waiting ??= registration.waiting ?? undefined;
        set(waiting === undefined ? "ready" : "update");
      })
      .catch((error: unknown) => {
        console.error(
          "The service worker could not be installed: the page needs the server.",
          error,
        );
        set(container.controller === null ? "failed" : "ready");
      });
  }

  return {
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => state,
    update() {
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), {
        once: true,
      });
      waiting?.postMessage({ type: "take-over" });
    },
  };
}
