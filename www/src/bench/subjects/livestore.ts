/**
 * LiveStore: events materialized as rows of one SQLite table, in files of the origin's private file system. Its packages are
 * so many that they are installed and built apart (`tests/bench/livestore`), by `npm run bench`; elsewhere it is not there.
 */
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanData, type LoanEvent, type Loans, PREFIX } from "../loan.ts";
import { loadServed } from "./served.ts";
import type { Store, Subject } from "./subject.ts";

/** As `tests/bench/livestore/livestore.ts` exports it. */
interface Module {
  open(storeId: string): Promise<{
    steps(): readonly Step[];
    commit(steps: readonly Step[]): void;
    written(): Promise<void>;
    subscribe(stream: string, listener: () => void): () => void;
    close(): Promise<void>;
  }>;
}

interface Step {
  readonly id: string;
  readonly stream: string;
  readonly type: string;
  readonly time: string;
  readonly data: string;
}

/** As many as go well in one commit. */
const EVENTS_IN_COMMIT = 1000;

export const subject: Subject = {
  async open(database: string): Promise<Store> {
    const { open } = await loadServed<Module>("/bench/livestore/livestore.js", "LiveStore");
    const store = await open(database);
    const loans: Loans = new Map();
    const stored = store.steps();
    for (const { stream, type, time, data } of stored) {
      foldInto(loans, { stream, type, time, data: JSON.parse(data) as LoanData });
    }
    let position = stored.length;
    const toStep = ({ stream, type, time, data }: LoanEvent): Step => {
      position += 1;
      const id = String(position).padStart(10, "0");
      return { id, stream, type, time, data: JSON.stringify(data) };
    };
    const commit = (events: readonly LoanEvent[]) => {
      for (const event of events) foldInto(loans, event);
      store.commit(events.map(toStep));
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const events = parseLines(text);
        for (let i = 0; i < events.length; i += EVENTS_IN_COMMIT) {
          commit(events.slice(i, i + EVENTS_IN_COMMIT));
        }
        await store.written();
      },
      async append(event) {
        commit([event]);
        await store.written();
      },
      async burst(events) {
        for (const event of events) commit([event]);
        await store.written();
      },
      async subscribe(key, listener) {
        return store.subscribe(`${PREFIX}${key}`, listener);
      },
      command: (event) => commit([event]),
      async close() {
        await store.written();
        await store.close();
      },
    };
  },
};
