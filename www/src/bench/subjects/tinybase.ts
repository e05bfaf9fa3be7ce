/** TinyBase: one table of events, kept by its IndexedDB persister, which writes a table whole. */
import { createStore } from "tinybase";
import { createIndexedDbPersister } from "tinybase/persisters/persister-indexed-db";
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanData, type LoanEvent, type Loans } from "../loan.ts";
import type { Store, Subject } from "./subject.ts";

const EVENTS = "events";

export const subject: Subject = {
  async open(database: string): Promise<Store> {
    const store = createStore();
    const persister = createIndexedDbPersister(store, database);
    await persister.load();
    const loans: Loans = new Map();
    // Cells hold no objects, so a payload is its JSON text.
    const toCells = ({ stream, type, time, data }: LoanEvent) => ({
      stream,
      type,
      time,
      data: JSON.stringify(data),
    });
    for (const row of Object.values(store.getTable(EVENTS))) {
      const { stream, type, time, data } = row as Record<string, string>;
      if (stream === undefined || type === undefined || time === undefined) continue;
      foldInto(loans, { stream, type, time, data: JSON.parse(data ?? "{}") as LoanData });
    }
    const add = (event: LoanEvent) => {
      foldInto(loans, event);
      store.addRow(EVENTS, toCells(event));
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const events = parseLines(text);
        const rows = events.map((event, i) => [String(i), toCells(event)] as const);
        store.setTable(EVENTS, Object.fromEntries(rows));
        await persister.save();
        for (const event of events) foldInto(loans, event);
      },
      async append(event) {
        add(event);
        await persister.save();
      },
      async burst(events) {
        for (const event of events) add(event);
        await persister.save();
      },
      async subscribe(_key, listener) {
        const id = store.addRowIdsListener(EVENTS, listener);
        return () => store.delListener(id);
      },
      command: add,
      close: async () => {
        await persister.destroy();
      },
    };
  },
};
