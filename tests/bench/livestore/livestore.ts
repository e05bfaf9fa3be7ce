/** LiveStore as the benchmark's page uses it: rows in, rows out, and when what was committed is on disk. */
import { makePersistedAdapter } from "@livestore/adapter-web";
import LiveStoreSharedWorker from "@livestore/adapter-web/shared-worker?sharedworker";
import { createStorePromise } from "@livestore/livestore";
import { events, schema, tables } from "./schema.ts";
import LiveStoreWorker from "./worker.ts?worker";

/** A step as it is stored; `data` is JSON text. */
export interface Step {
  readonly id: string;
  readonly stream: string;
  readonly type: string;
  readonly time: string;
  readonly data: string;
}

export async function open(storeId: string) {
  const adapter = makePersistedAdapter({
    storage: { type: "opfs" },
    worker: LiveStoreWorker,
    sharedWorker: LiveStoreSharedWorker,
  });
  const store = await createStorePromise({ schema, adapter, storeId });
  return {
    /** By id, which is the order of the log. */
    steps: (): readonly Step[] => store.query(tables.steps.orderBy("id", "asc")),
    commit: (steps: readonly Step[]): void => {
      store.commit(...steps.map((step) => events.step(step)));
    },
    /** Resolves when the worker that writes has taken everything. Asked again and again: a subscription misses changes. */
    written: async () => {
      while (store.syncStatus().pendingCount > 0) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    /** Calls back when steps of the stream were added. */
    subscribe: (stream: string, listener: () => void): (() => void) =>
      store.subscribe(tables.steps.where({ stream }).count(), listener),
    close: () => store.shutdownPromise(),
  };
}
