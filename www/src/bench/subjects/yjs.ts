/** Yjs: one shared array of events, kept by y-indexeddb, which writes each transaction as one update. */
import { IndexeddbPersistence } from "y-indexeddb";
import * as Y from "yjs";
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanEvent, type Loans } from "../loan.ts";
import { completeOf } from "./idb.ts";
import type { Store, Subject } from "./subject.ts";

const UPDATES = "updates";

export const subject: Subject = {
  async open(database: string): Promise<Store> {
    const doc = new Y.Doc();
    const events = doc.getArray<LoanEvent>("events");
    const persistence = new IndexeddbPersistence(database, doc);
    await persistence.whenSynced;
    const loans: Loans = new Map();
    events.forEach((event) => {
      foldInto(loans, event);
    });
    /** y-indexeddb has issued the writes; a read behind them completes after them. */
    const written = async () => {
      const { db } = persistence;
      if (db === null) throw new Error("y-indexeddb lost its database");
      const transaction = db.transaction(UPDATES);
      transaction.objectStore(UPDATES).count();
      await completeOf(transaction);
    };
    const push = (event: LoanEvent) => {
      foldInto(loans, event);
      events.push([event]);
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const fresh = parseLines(text);
        events.push(fresh);
        await written();
        for (const event of fresh) foldInto(loans, event);
      },
      async append(event) {
        push(event);
        await written();
      },
      async burst(all) {
        for (const event of all) push(event);
        await written();
      },
      async subscribe(_key, listener) {
        events.observe(listener);
        return () => events.unobserve(listener);
      },
      command: push,
      async close() {
        await written();
        await persistence.destroy();
      },
    };
  },
};
