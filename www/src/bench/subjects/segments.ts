/**
 * IndexedDB by hand, as fast as an expert would make it: segments of 1,000 events as JSON text, parsed by one call each, and
 * a tail of single events. The limit that the others are held against: it has no ids, versions, checksums, conflict checks,
 * other tabs or recovery.
 */
import { foldInto, type LoanEvent, type Loans } from "../loan.ts";
import { answerOf, completeOf, openDatabase } from "./idb.ts";
import type { OpenOptions, Store, Subject } from "./subject.ts";

const SEGMENTS = "segments";
const TAIL = "tail";
const EVENTS_IN_SEGMENT = 1000;

export const subject: Subject = {
  async open(database: string, { strict }: OpenOptions): Promise<Store> {
    const handle = await openDatabase(database, (fresh) => {
      fresh.createObjectStore(SEGMENTS, { autoIncrement: true });
      fresh.createObjectStore(TAIL, { autoIncrement: true });
    });
    const loans: Loans = new Map();
    const reading = handle.transaction([SEGMENTS, TAIL]);
    const sealed = answerOf(reading.objectStore(SEGMENTS).getAll()) as Promise<string[]>;
    const tail = answerOf(reading.objectStore(TAIL).getAll()) as Promise<string[]>;
    for (const text of await sealed) fold(JSON.parse(text) as LoanEvent[]);
    for (const text of await tail) foldInto(loans, JSON.parse(text) as LoanEvent);

    function fold(events: readonly LoanEvent[]): void {
      for (const event of events) foldInto(loans, event);
    }
    const write = (
      store: string,
      texts: readonly string[],
      durability: IDBTransactionDurability,
    ) => {
      const transaction = handle.transaction(store, "readwrite", { durability });
      for (const text of texts) transaction.objectStore(store).add(text);
      transaction.commit();
      return completeOf(transaction);
    };
    const single = strict ? "strict" : "relaxed";
    let waiting: LoanEvent[] = [];
    let writing: Promise<void> | undefined;
    /** Group commit: everything appended in this turn of the event loop is one transaction. */
    const flush = async () => {
      await undefined;
      const events = waiting;
      waiting = [];
      writing = undefined;
      const texts: string[] = [];
      for (let i = 0; i < events.length; i += EVENTS_IN_SEGMENT) {
        texts.push(JSON.stringify(events.slice(i, i + EVENTS_IN_SEGMENT)));
      }
      await write(SEGMENTS, texts, single);
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const lines = text.split("\n");
        const texts: string[] = [];
        for (let i = 0; i < lines.length; i += EVENTS_IN_SEGMENT) {
          const segment = `[${lines.slice(i, i + EVENTS_IN_SEGMENT).join(",")}]`;
          fold(JSON.parse(segment) as LoanEvent[]);
          texts.push(segment);
        }
        await write(SEGMENTS, texts, "relaxed");
      },
      async append(event) {
        foldInto(loans, event);
        await write(TAIL, [JSON.stringify(event)], single);
      },
      async burst(events) {
        await Promise.all(
          events.map((event) => {
            foldInto(loans, event);
            waiting.push(event);
            writing ??= flush();
            return writing;
          }),
        );
      },
      close: async () => handle.close(),
    };
  },
};
