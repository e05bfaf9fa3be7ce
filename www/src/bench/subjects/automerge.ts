/**
 * Automerge: one document with a list of events, kept by automerge-repo's IndexedDB storage. An event is one immutable string of
 * JSON: that is its fastest by far, as a map of maps it would be a dozen operations.
 */
import { ImmutableString, insertAt } from "@automerge/automerge";
import { type AutomergeUrl, type DocHandle, Repo } from "@automerge/automerge-repo";
import { IndexedDBStorageAdapter } from "@automerge/automerge-repo-storage-indexeddb";
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanEvent, type Loans } from "../loan.ts";
import type { Store, Subject } from "./subject.ts";

interface Log {
  events: ImmutableString[];
}

/** A call takes only so many arguments. */
const EVENTS_IN_CALL = 10_000;

export const subject: Subject = {
  async open(database: string): Promise<Store> {
    const repo = new Repo({ storage: new IndexedDBStorageAdapter(database), network: [] });
    // An app keeps the address of its document; this one beside the database of the same name.
    const address = localStorage.getItem(database) as AutomergeUrl | null;
    const handle: DocHandle<Log> =
      address === null ? repo.create<Log>({ events: [] }) : await repo.find<Log>(address);
    if (address === null) localStorage.setItem(database, handle.url);
    const loans: Loans = new Map();
    for (const { val } of handle.doc().events) foldInto(loans, JSON.parse(val) as LoanEvent);
    const push = (events: readonly LoanEvent[]) => {
      const texts = events.map((event) => new ImmutableString(JSON.stringify(event)));
      handle.change((log) => {
        for (let i = 0; i < texts.length; i += EVENTS_IN_CALL) {
          insertAt(log.events, log.events.length, ...texts.slice(i, i + EVENTS_IN_CALL));
        }
      });
      for (const event of events) foldInto(loans, event);
    };
    return {
      rows: () => loans,
      async importLines(text) {
        push(parseLines(text));
        await repo.flush();
      },
      async append(event) {
        push([event]);
        await repo.flush();
      },
      async burst(events) {
        for (const event of events) push([event]);
        await repo.flush();
      },
      async subscribe(_key, listener) {
        handle.on("change", listener);
        return () => handle.off("change", listener);
      },
      command: (event) => push([event]),
      async close() {
        await repo.flush();
        await repo.shutdown();
      },
    };
  },
};
