/**
 * Logs that this device keeps, of whoever used it. Signing out closes a log and leaves its database, with what was not sent,
 * where it is: the next person's log is another database. These functions look at what is kept and never talk to a server, so
 * that nothing of one person is sent in the name of another.
 */
import type { CoreFactory } from "./border.js";
import { tidelogError } from "./errors.js";
import { wasmCore } from "./loader.js";
import { createLogWith } from "./log.js";
import type { ExportOptions, WasmSource } from "./log-types.js";

/** Whose log of what name. */
export interface KeptName {
  readonly name: string;
  readonly user: string;
}

/** A log that this device keeps, opened to look at it. */
export interface KeptLog extends KeptName {
  /** Commits that were not confirmed by the server. */
  readonly pending: number;
  /** Commits that wait for somebody's decision. */
  readonly parked: number;
  /** As `log.export`; `what: "unconfirmed"` is what exists nowhere else. */
  export(options?: ExportOptions): ReadableStream<Uint8Array>;
  /**
   * Deletes it from this device, with all that was not sent. A tab that has this log open would write what it holds again:
   * close it there first.
   */
  delete(): Promise<void>;
  close(): Promise<void>;
}

/** The logs on this device, by name and user. Rejects with `storage_unavailable` where the browser cannot list its databases. */
export async function keptLogs(): Promise<readonly KeptName[]> {
  return (await databases()).map(({ name, user }) => ({ name, user }));
}

/** Opens a log that this device keeps, without a server; `undefined` if there is none. Rejects as `log.ready()` does. */
export function openKept(
  of: KeptName & { readonly wasm?: WasmSource | undefined },
): Promise<KeptLog | undefined> {
  return openKeptWith(of, wasmCore(of.wasm));
}

/** The same over any core: tests bring their own. */
export async function openKeptWith(
  { name, user }: KeptName,
  makeCore: CoreFactory,
): Promise<KeptLog | undefined> {
  const all = await databases();
  const kept = all.find((one) => one.name === name && one.user === user);
  if (kept === undefined) return undefined;
  const log = createLogWith(
    { name, user, streams: {}, snapshots: false, persist: "manual" },
    (options) => makeCore({ ...options, detached: true }),
  );
  await log.ready();
  const { pending, parked } = log.status.getSnapshot();
  return {
    name,
    user,
    pending,
    parked,
    export: (options) => log.export(options),
    delete: async () => {
      await log.close();
      await deleted(kept.database);
    },
    close: () => log.close(),
  };
}

/** Databases are called `tidelog/{log}/{user}`, the user percent-encoded. */
async function databases(): Promise<readonly (KeptName & { readonly database: string })[]> {
  if (typeof indexedDB === "undefined" || indexedDB.databases === undefined) {
    throw tidelogError("storage_unavailable");
  }
  return (await indexedDB.databases()).flatMap(({ name: database = "" }) => {
    const [, name, user] = /^tidelog\/([^/]+)\/([^/]*)$/.exec(database) ?? [];
    if (name === undefined || user === undefined) return [];
    return [{ database, name, user: decodeURIComponent(user) }];
  });
}

function deleted(database: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(database);
    request.onsuccess = () => resolve();
    request.onerror = () =>
      reject(tidelogError("transaction_aborted", { problem: String(request.error) }));
  });
}
