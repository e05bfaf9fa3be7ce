/** A log's database as the browser keeps it, for tests that play with it behind the log's back. */

/** Every record of every store: store → pairs of key and value. Bytes are written as `{ $bytes: base64 }`. */
export interface Dump {
  readonly [store: string]: readonly (readonly [key: unknown, value: unknown])[];
}

/** The names of this origin's databases that hold a log. */
export async function databases(): Promise<readonly string[]> {
  const all = await indexedDB.databases();
  return all.flatMap(({ name }) => (name === undefined ? [] : [name]));
}

/** The only database of this origin, as JSON. */
export async function dump(): Promise<Dump> {
  const database = await theOnly();
  try {
    const stores = [...database.objectStoreNames];
    const transaction = database.transaction(stores, "readonly");
    const dumped = stores.map(async (name) => {
      const store = transaction.objectStore(name);
      const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
      return [name, keys.map((key, i) => [toJson(key), toJson(values[i])] as const)] as const;
    });
    return Object.fromEntries(await Promise.all(dumped));
  } finally {
    database.close();
  }
}

/** Replaces everything in the only database of this origin. */
export async function restore(dumped: Dump): Promise<void> {
  await write(Object.keys(dumped), (store) => {
    store.clear();
    for (const [key, value] of dumped[store.name] ?? []) {
      store.put(fromJson(value), fromJson(key) as IDBValidKey);
    }
  });
}

/** Flips one bit in the middle of each record of `store` that `chosen` (of its place) picks; gives how many. */
export async function damage(
  name: string,
  chosen: "all" | "first" | "last" = "all",
): Promise<number> {
  const database = await theOnly();
  try {
    const transaction = database.transaction(name, "readwrite");
    const store = transaction.objectStore(name);
    const keys = await done(store.getAllKeys());
    const values = await done(store.getAll());
    const places = keys.map((_, i) => i).filter((i) => bytesOf(values[i]) !== undefined);
    const hit = chosen === "all" ? places : places.slice(...(chosen === "first" ? [0, 1] : [-1]));
    for (const i of hit) {
      const bytes = bytesOf(values[i]);
      const middle = (bytes?.length ?? 0) >> 1;
      if (bytes) bytes[middle] = (bytes[middle] ?? 0) ^ 0x10;
      store.put(values[i], keys[i]);
    }
    await completed(transaction);
    return hit.length;
  } finally {
    database.close();
  }
}

/** How many records a store has. */
export async function count(name: string): Promise<number> {
  const database = await theOnly();
  try {
    return await done(database.transaction(name).objectStore(name).count());
  } finally {
    database.close();
  }
}

/** Deletes the only database of this origin, as a person does who clears the site's data. */
export async function wipe(): Promise<void> {
  for (const name of await databases()) await done(indexedDB.deleteDatabase(name));
}

async function theOnly(): Promise<IDBDatabase> {
  const [name, ...others] = await databases();
  if (name === undefined || others.length > 0) throw new Error(`databases: ${name}, ${others}`);
  return done(indexedDB.open(name));
}

async function write(stores: string[], change: (store: IDBObjectStore) => void): Promise<void> {
  const database = await theOnly();
  try {
    const transaction = database.transaction(stores, "readwrite");
    for (const name of stores) change(transaction.objectStore(name));
    await completed(transaction);
  } finally {
    database.close();
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

/** The bytes of a record: itself, or its largest field that is bytes. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (typeof value !== "object" || value === null) return undefined;
  const found = Object.values(value).flatMap((field) => bytesOf(field) ?? []);
  return found.sort((a, b) => b.length - a.length)[0];
}

function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return { $bytes: btoa(Array.from(value, (byte) => String.fromCharCode(byte)).join("")) };
  }
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toJson(field)]));
}

function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value !== "object" || value === null) return value;
  if ("$bytes" in value) return Uint8Array.from(atob(String(value.$bytes)), (c) => c.charCodeAt(0));
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, fromJson(field)]));
}
