/** Automerge: one document with a list of events, kept by automerge-repo's IndexedDB storage. */
import { type AutomergeUrl, type DocHandle, Repo } from "@automerge/automerge-repo";
import { IndexedDBStorageAdapter } from "@automerge/automerge-repo-storage-indexeddb";
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanEvent, type Loans } from "../loan.ts";
import type { Store, Subject } from "./subject.ts";

interface Log {
  events: LoanEvent[];
}

export const subject: Subject = {
  async open(database: string): Promise<Store> {
    const repo = new Repo({ storage: new IndexedDBStorageAdapter(database), network: [] });
    // An app keeps the address of its document; this one beside the database of the same name.
    const address = localStorage.getItem(database) as AutomergeUrl | null;
    const handle: DocHandle<Log> =
      address === null ? repo.create<Log>({ events: [] }) : await repo.find<Log>(address);
    if (address === null) localStorage.setItem(database, handle.url);
    const loans: Loans = new Map();
    for (const event of handle.doc().events) foldInto(loans, event);
    const push = (fresh: readonly LoanEvent[]) => {
      handle.change((log) => {
        log.events.push(...fresh);
      });
      for (const event of fresh) foldInto(loans, event);
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const events = parseLines(text);
        // In one change; a call takes only so many arguments.
        handle.change((log) => {
          for (const event of events) log.events.push(event);
        });
        for (const event of events) foldInto(loans, event);
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
