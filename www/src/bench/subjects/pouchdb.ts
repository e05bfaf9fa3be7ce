/** PouchDB: a document for each event, its id made of stream and version, so that no further index is needed. */
import PouchDB from "pouchdb-browser";
import { parseLines } from "../dataset.ts";
import { foldInto, type LoanEvent, type Loans } from "../loan.ts";
import type { Store, Subject } from "./subject.ts";

export const subject: Subject = {
  async open(database: string): Promise<Store> {
    const db = new PouchDB<LoanEvent>(database, { auto_compaction: false });
    const loans: Loans = new Map();
    const versions = new Map<string, number>();
    const next = (event: LoanEvent) => {
      const version = (versions.get(event.stream) ?? 0) + 1;
      versions.set(event.stream, version);
      return { ...event, _id: `${event.stream}/${String(version).padStart(6, "0")}` };
    };
    // By id, so the steps of an application come in order.
    for (const { doc } of (await db.allDocs({ include_docs: true })).rows) {
      if (doc === undefined) continue;
      foldInto(loans, doc);
      versions.set(doc.stream, (versions.get(doc.stream) ?? 0) + 1);
    }
    const put = (event: LoanEvent) => {
      foldInto(loans, event);
      return db.put(next(event));
    };
    return {
      rows: () => loans,
      async importLines(text) {
        const events = parseLines(text);
        for (const result of await db.bulkDocs(events.map(next))) {
          if ("error" in result) throw new Error(`PouchDB refused a document: ${result.message}`);
        }
        for (const event of events) foldInto(loans, event);
      },
      async append(event) {
        await put(event);
      },
      async burst(events) {
        await Promise.all(events.map(put));
      },
      async subscribe(_key, listener) {
        const changes = db.changes({ since: "now", live: true, include_docs: true });
        changes.on("change", listener);
        return () => changes.cancel();
      },
      command(event) {
        void put(event);
      },
      async history(stream) {
        const found = await db.allDocs({
          include_docs: true,
          startkey: `${stream}/`,
          endkey: `${stream}/\uffff`,
        });
        return found.rows.length;
      },
      close: () => db.close(),
    };
  },
};
