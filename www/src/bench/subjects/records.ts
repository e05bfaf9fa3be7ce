/** IndexedDB by hand: one record for each event, under its position. */

import { parseLines } from "../dataset.ts";
import { foldInto, type LoanEvent, type Loans } from "../loan.ts";
import { answerOf, completeOf, openDatabase } from "./idb.ts";
import type { OpenOptions, Store, Subject } from "./subject.ts";

const EVENTS = "events";

export const subject: Subject = {
  async open(database: string, { strict }: OpenOptions): Promise<Store> {
    const handle = await openDatabase(database, (fresh) =>
      fresh.createObjectStore(EVENTS, { autoIncrement: true }),
    );
    const loans: Loans = new Map();
    const reading = handle.transaction(EVENTS).objectStore(EVENTS);
    for (const event of (await answerOf(reading.getAll())) as LoanEvent[]) foldInto(loans, event);

    const write = (events: readonly LoanEvent[], durability: IDBTransactionDurability) => {
      const transaction = handle.transaction(EVENTS, "readwrite", { durability });
      const store = transaction.objectStore(EVENTS);
      for (const event of events) store.add(event);
      transaction.commit();
      return completeOf(transaction);
    };
    const single = strict ? "strict" : "relaxed";
    return {
      rows: () => loans,
      async importLines(text) {
        const events = parseLines(text);
        await write(events, "relaxed");
        for (const event of events) foldInto(loans, event);
      },
      async append(event) {
        foldInto(loans, event);
        await write([event], single);
      },
      async burst(events) {
        await Promise.all(
          events.map((event) => {
            foldInto(loans, event);
            return write([event], single);
          }),
        );
      },
      close: async () => handle.close(),
    };
  },
};
