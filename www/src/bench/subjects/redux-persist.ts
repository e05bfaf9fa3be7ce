/** Redux Toolkit with redux-persist over localForage: the state as JSON text, written whole. */
import { configureStore, createSlice, type PayloadAction } from "@reduxjs/toolkit";
import localforage from "localforage";
import {
  FLUSH,
  PAUSE,
  PERSIST,
  type PersistConfig,
  PURGE,
  persistReducer,
  persistStore,
  REGISTER,
  REHYDRATE,
} from "redux-persist";
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanEvent, type Loans } from "../loan.ts";
import type { Store, Subject } from "./subject.ts";

interface Log {
  events: LoanEvent[];
}

const slice = createSlice({
  name: "log",
  initialState: { events: [] } as Log,
  reducers: {
    appended(log, { payload }: PayloadAction<LoanEvent>) {
      log.events.push(payload);
    },
    imported(log, { payload }: PayloadAction<LoanEvent[]>) {
      // Not through the draft, which would make a proxy of each event.
      return { events: log.events.concat(payload) };
    },
  },
});

export const subject: Subject = {
  async open(database: string): Promise<Store> {
    const storage = localforage.createInstance({
      name: database,
      driver: localforage.INDEXEDDB,
    });
    const config: PersistConfig<Log> = { key: "log", storage };
    const store = configureStore({
      reducer: persistReducer(config, slice.reducer),
      middleware: (defaults) =>
        defaults({
          serializableCheck: {
            ignoredActions: [FLUSH, REHYDRATE, PAUSE, PERSIST, PURGE, REGISTER],
          },
        }),
    });
    const persistor = persistStore(store);
    await new Promise<void>((resolve) => {
      const look = () => {
        if (!persistor.getState().bootstrapped) return;
        stop();
        resolve();
      };
      const stop = persistor.subscribe(look);
      look();
    });
    const loans: Loans = new Map();
    for (const event of store.getState().events) foldInto(loans, event);
    const append = (event: LoanEvent) => {
      foldInto(loans, event);
      store.dispatch(slice.actions.appended(event));
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const events = parseLines(text);
        store.dispatch(slice.actions.imported(events));
        await persistor.flush();
        for (const event of events) foldInto(loans, event);
      },
      async append(event) {
        append(event);
        await persistor.flush();
      },
      async burst(events) {
        for (const event of events) append(event);
        await persistor.flush();
      },
      async subscribe(_key, listener) {
        return store.subscribe(listener);
      },
      command: append,
      async close() {
        await persistor.flush();
        persistor.pause();
      },
    };
  },
};
