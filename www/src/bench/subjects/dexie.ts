/** Dexie: a table of events with an index on the stream. */
import { Dexie, liveQuery, type Table } from "dexie";
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanEvent, type Loans, PREFIX } from "../loan.ts";
import type { OpenOptions, Store, Subject } from "./subject.ts";

export const subject: Subject = {
  async open(database: string, { strict }: OpenOptions): Promise<Store> {
    const db = new Dexie(database, {
      chromeTransactionDurability: strict ? "strict" : "relaxed",
    }) as Dexie & { events: Table<LoanEvent, number> };
    db.version(1).stores({ events: "++, stream" });
    const loans: Loans = new Map();
    for (const event of await db.events.toArray()) foldInto(loans, event);
    const add = (event: LoanEvent): Promise<unknown> => {
      foldInto(loans, event);
      return Promise.resolve(db.events.add(event));
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const events = parseLines(text);
        await db.events.bulkAdd(events);
        for (const event of events) foldInto(loans, event);
      },
      async append(event) {
        await add(event);
      },
      async burst(events) {
        await Promise.all(events.map(add));
      },
      subscribe(key, listener) {
        return new Promise((resolve, reject) => {
          let first = true;
          const subscription = liveQuery(() =>
            db.events.where("stream").equals(`${PREFIX}${key}`).count(),
          ).subscribe({
            next() {
              if (!first) listener();
              first = false;
              resolve(() => subscription.unsubscribe());
            },
            error: reject,
          });
        });
      },
      command(event) {
        void add(event);
      },
      async history(stream) {
        return (await db.events.where("stream").equals(stream).toArray()).length;
      },
      close: async () => db.close(),
    };
  },
};
