/** IndexedDB as promises, nothing more. */

/** The answer of a request. */
export function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Resolves when the transaction is complete. */
export function completeOf(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("transaction aborted"));
  });
}

export function openDatabase(
  name: string,
  upgrade: (database: IDBDatabase) => void,
): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => upgrade(request.result);
  return answerOf(request);
}

/** Deletes every database with this text in its name, whatever library made it. */
export async function deleteDatabases(part: string): Promise<void> {
  for (const { name } of await indexedDB.databases()) {
    if (name?.includes(part)) await answerOf(indexedDB.deleteDatabase(name));
  }
}

/** Deletes every folder of the origin's private file system with this text in its name. */
export async function deleteFolders(part: string): Promise<void> {
  const root: FileSystemDirectoryHandle & { keys?(): AsyncIterable<string> } =
    await navigator.storage.getDirectory();
  const names: string[] = [];
  for await (const name of root.keys?.() ?? []) if (name.includes(part)) names.push(name);
  for (const name of names) await root.removeEntry(name, { recursive: true });
}
