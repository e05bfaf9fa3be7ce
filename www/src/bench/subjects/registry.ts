/** Who is measured, how each is used, and what each cannot do. Nothing is loaded before it is measured. */
import type { FigureId } from "../figures/figure.ts";
import type { Subject, SubjectId } from "./subject.ts";

export interface SubjectInfo {
  readonly id: SubjectId;
  readonly name: string;
  /** By which path of its documentation it is used. */
  readonly path: string;
  /** What "on disk" means for a single append. */
  readonly durability: string;
  /** Figures it is left out of, and why. */
  readonly without: { readonly [Figure in FigureId]?: string };
  /** So slow that it is measured on the small size, where the figure allows it. */
  readonly small?: true;
  readonly load: () => Promise<{ readonly subject: Subject }>;
}

const TOO_SLOW = "takes more than ten minutes to fill";
const NO_FOLD = "keeps no subscribers: the page would call its own function";
const NO_SNAPSHOT = "has no snapshots of a fold";
const IN_MEMORY = "reads no single stream from disk: the whole log is in memory";
const ONE_TAB = "does not tell another tab by itself";

export const SUBJECTS: readonly SubjectInfo[] = [
  {
    id: "tidelog",
    name: "Tidelog",
    path: "createLog without sync; log.append, log.import, log.row, log.history",
    durability: "strict",
    without: {},
    load: () => import("./tidelog.ts"),
  },
  {
    id: "segments",
    name: "raw segments",
    path: "IndexedDB by hand: 1,000 events as JSON text in a record, single events in a tail",
    durability: "strict",
    without: { told: NO_FOLD, tabs: ONE_TAB },
    load: () => import("./segments.ts"),
  },
  {
    id: "records",
    name: "raw records",
    path: "IndexedDB by hand: one record for each event",
    durability: "strict",
    without: { told: NO_FOLD, tabs: ONE_TAB, snapshot: NO_SNAPSHOT },
    load: () => import("./records.ts"),
  },
  {
    id: "dexie",
    name: "Dexie",
    path: "Table.bulkAdd, Table.add, toArray; liveQuery; an index on the stream",
    durability: "strict (chromeTransactionDurability)",
    without: { snapshot: NO_SNAPSHOT },
    load: () => import("./dexie.ts"),
  },
  {
    id: "rxdb",
    name: "RxDB",
    path: "storage-dexie; bulkInsert, insert, find().exec(); observed queries; an index on the stream",
    durability: "strict (chromeTransactionDurability)",
    without: { snapshot: NO_SNAPSHOT },
    load: () => import("./rxdb.ts"),
  },
  {
    id: "pouchdb",
    name: "PouchDB",
    path: "bulkDocs, put, allDocs; ids of stream and version; live changes",
    durability: "the browser's default (relaxed in Chromium)",
    without: { snapshot: NO_SNAPSHOT, tabs: ONE_TAB },
    load: () => import("./pouchdb.ts"),
  },
  {
    id: "yjs",
    name: "Yjs",
    path: "one Y.Array of events; y-indexeddb",
    durability: "the browser's default (relaxed in Chromium)",
    without: { snapshot: NO_SNAPSHOT, history: IN_MEMORY, tabs: ONE_TAB },
    load: () => import("./yjs.ts"),
  },
  {
    id: "automerge",
    name: "Automerge",
    path: "automerge-repo with its IndexedDB storage; one list of events in one document",
    durability: "the browser's default (relaxed in Chromium)",
    without: { snapshot: NO_SNAPSHOT, history: IN_MEMORY, tabs: ONE_TAB },
    load: () => import("./automerge.ts"),
  },
  {
    id: "tinybase",
    name: "TinyBase",
    path: "one table of events; createIndexedDbPersister, which writes the table whole",
    durability: "the browser's default (relaxed in Chromium)",
    without: { snapshot: NO_SNAPSHOT, history: IN_MEMORY, tabs: ONE_TAB },
    load: () => import("./tinybase.ts"),
  },
  {
    id: "redux-persist",
    name: "redux-persist",
    path: "Redux Toolkit; redux-persist over localForage, which writes one JSON text whole",
    durability: "the browser's default (relaxed in Chromium)",
    without: { snapshot: NO_SNAPSHOT, history: IN_MEMORY, tabs: ONE_TAB },
    load: () => import("./redux-persist.ts"),
  },
  {
    id: "livestore",
    name: "LiveStore",
    path: "adapter-web on OPFS; commit, a table materialized from the events; on a hundredth of the events",
    durability: "written by its worker (syncStatus)",
    without: {
      open: TOO_SLOW,
      snapshot: NO_SNAPSHOT,
      disk: "keeps its files outside IndexedDB",
      history: TOO_SLOW,
      longtask: TOO_SLOW,
      tabs: TOO_SLOW,
      memory: TOO_SLOW,
    },
    small: true,
    load: () => import("./livestore.ts"),
  },
];

export function subjectInfo(id: SubjectId): SubjectInfo {
  const info = SUBJECTS.find((each) => each.id === id);
  if (info === undefined) {
    const known = SUBJECTS.map((each) => each.id).join(", ");
    throw new Error(`no subject is called ${id}; there are ${known}`);
  }
  return info;
}
