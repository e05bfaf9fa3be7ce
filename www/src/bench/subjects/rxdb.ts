/** RxDB on its free storage (Dexie): a collection of events with an index on the stream. */
import { createRxDatabase, type RxCollection } from "rxdb/plugins/core";
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie";
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanEvent, type Loans, PREFIX } from "../loan.ts";
import type { OpenOptions, Store, Subject } from "./subject.ts";

interface Stored extends LoanEvent {
  /** Position, with zeros in front so that its order is the log's. */
  readonly id: string;
}

const SCHEMA = {
  version: 0,
  type: "object",
  primaryKey: "id",
  properties: {
    id: { type: "string", maxLength: 12 },
    stream: { type: "string", maxLength: 40 },
    type: { type: "string" },
    time: { type: "string" },
    data: { type: "object" },
  },
  required: ["id", "stream", "type", "time", "data"],
  indexes: ["stream"],
} as const;

export const subject: Subject = {
  async open(database: string, { strict }: OpenOptions): Promise<Store> {
    const db = await createRxDatabase<{ events: RxCollection<Stored> }>({
      // Names may hold no capitals, and begin with a letter.
      name: database,
      storage: getRxStorageDexie({ chromeTransactionDurability: strict ? "strict" : "relaxed" }),
      multiInstance: true,
      eventReduce: true,
    });
    const { events } = await db.addCollections({ events: { schema: SCHEMA } });
    const loans: Loans = new Map();
    const stored = await events.find().exec();
    for (const event of stored) foldInto(loans, event);
    let position = stored.length;
    const next = (event: LoanEvent): Stored => {
      position += 1;
      return { ...event, id: String(position).padStart(10, "0") };
    };
    const insert = (event: LoanEvent) => {
      foldInto(loans, event);
      return events.insert(next(event));
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const fresh = parseLines(text);
        const { error } = await events.bulkInsert(fresh.map(next));
        if (error.length > 0) throw new Error(`RxDB refused ${error.length} documents`);
        for (const event of fresh) foldInto(loans, event);
      },
      async append(event) {
        await insert(event);
      },
      async burst(all) {
        await Promise.all(all.map(insert));
      },
      subscribe(key, listener) {
        return new Promise((resolve) => {
          let first = true;
          const subscription = events
            .find({ selector: { stream: `${PREFIX}${key}` } })
            .$.subscribe(() => {
              if (!first) listener();
              first = false;
              resolve(() => subscription.unsubscribe());
            });
        });
      },
      command(event) {
        void insert(event);
      },
      async history(stream) {
        return (await events.find({ selector: { stream } }).exec()).length;
      },
      async close() {
        await db.close();
      },
    };
  },
};
