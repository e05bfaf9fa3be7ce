// Faults that no page can cause by itself, and a look at the database from outside of Tidelog.

/** Replaces a method for one call: a failing test leaves nothing behind. */
function once(prototype, method, replacement) {
  const original = prototype[method];
  prototype[method] = function (...args) {
    prototype[method] = original;
    return replacement.call(this, original, args);
  };
}

/** The next commit is an abort with this reason, as a full disk gives it. */
export function abortNextCommit(name) {
  once(IDBTransaction.prototype, "commit", function () {
    Object.defineProperty(this, "error", { value: new DOMException("injected by a test", name) });
    this.abort();
  });
}

/** The disk is full when the next transaction that can write asks for this. */
export function fillUpAt(method) {
  const original = IDBObjectStore.prototype[method];
  IDBObjectStore.prototype[method] = function (...args) {
    const { transaction } = this;
    const request = original.apply(this, args);
    if (transaction.mode === "readwrite") {
      IDBObjectStore.prototype[method] = original;
      const error = new DOMException("injected by a test", "QuotaExceededError");
      Object.defineProperty(transaction, "error", { value: error });
      transaction.abort();
    }
    return request;
  };
}

/** The next opening of a database throws this, or fails with it a moment later. */
export function failNextOpening(name, throws) {
  const error = new DOMException("injected by a test", name);
  once(IDBFactory.prototype, "open", function (open) {
    if (throws) throw error;
    const request = open.call(this, "opened-in-vain");
    request.addEventListener("success", () => request.result.close());
    Object.defineProperty(request, "error", { value: error });
    queueMicrotask(() => request.dispatchEvent(new Event("error")));
    return request;
  });
}

/** The next answer to this question is an error: the disk does not give the value back. */
export function failNextAnswer(method, name) {
  once(IDBObjectStore.prototype, method, function (ask, args) {
    const request = ask.apply(this, args);
    const error = new DOMException("injected by a test", name);
    Object.defineProperty(request, "error", { value: error });
    Object.defineProperty(request, "result", { value: undefined });
    return request;
  });
}

/** The connection breaks at the next commit, which is applied or not. */
export function loseNextCommit(applied) {
  once(IDBTransaction.prototype, "commit", function (commit) {
    if (applied) commit.call(this);
    else this.abort();
    this.db.dispatchEvent(new Event("close"));
  });
}

/** The connection is closed without a word when the next transaction begins. */
export function closeBeforeNextTransaction() {
  once(IDBDatabase.prototype, "transaction", function (transaction, args) {
    this.close();
    return transaction.apply(this, args);
  });
}

/** Gives the durability of each transaction from now on that can write, until `stop` is called. */
export function watchDurability() {
  const original = IDBDatabase.prototype.transaction;
  const seen = [];
  IDBDatabase.prototype.transaction = function (...args) {
    const transaction = original.apply(this, args);
    if (transaction.mode === "readwrite") seen.push(transaction.durability);
    return transaction;
  };
  return {
    stop: () => {
      IDBDatabase.prototype.transaction = original;
      return seen.join();
    },
  };
}

/** Counts the requests of each transaction from now on, until it is stopped. */
export function watchRequests() {
  const seen = new Map();
  const restore = eachRequest((original, store, args) => {
    seen.set(store.transaction, (seen.get(store.transaction) ?? 0) + 1);
    return original.apply(store, args);
  });
  return {
    stop: () => {
      restore();
      return [...seen.values()].join();
    },
  };
}

/** Every method by which a transaction asks for something. */
const REQUESTS = [
  "add",
  "put",
  "delete",
  "clear",
  "get",
  "getAll",
  "getAllKeys",
  "count",
  "openCursor",
];

/** Puts `replacement` in the place of every method that makes a request; gives what undoes that. */
function eachRequest(replacement) {
  const originals = REQUESTS.map((name) => [name, IDBObjectStore.prototype[name]]);
  for (const [name, original] of originals) {
    IDBObjectStore.prototype[name] = function (...args) {
      return replacement(original, this, args);
    };
  }
  return () => Object.assign(IDBObjectStore.prototype, Object.fromEntries(originals));
}

/**
 * Strikes at the `at`-th request, from 1, that transactions which can write make from now on:
 * `throw` in its place, `abort` the transaction behind it, `close` the connection behind it,
 * `lose` the connection and with it the transaction behind it.
 */
export function strike(at, how) {
  let count = 0;
  const strikes = { fired: false, stop: undefined };
  strikes.stop = eachRequest((original, store, args) => {
    const { transaction } = store;
    if (transaction.mode !== "readwrite" || ++count !== at) return original.apply(store, args);
    strikes.fired = true;
    if (how === "throw") throw new DOMException("injected by a test", "DataCloneError");
    const request = original.apply(store, args);
    if (how === "close") transaction.db.close();
    else transaction.abort();
    if (how === "lose") transaction.db.dispatchEvent(new Event("close"));
    return request;
  });
  return strikes;
}

/** Ends it, and says whether it struck. */
export function hasStruck(strikes) {
  strikes.stop();
  return strikes.fired;
}

/** Every key and value of every store, as text. */
export async function dump(name) {
  const database = await settled(indexedDB.open(name));
  const stores = [...database.objectStoreNames];
  const transaction = database.transaction(stores);
  const all = stores.map(async (name) => {
    const store = transaction.objectStore(name);
    const [keys, values] = await Promise.all([
      settled(store.getAllKeys()),
      settled(store.getAll()),
    ]);
    return [name, keys, values];
  });
  const text = JSON.stringify(await Promise.all(all), (_, value) =>
    value instanceof Uint8Array ? `bytes ${[...value]}` : value,
  );
  database.close();
  return text;
}

export function stopWatching(watch) {
  return watch.stop();
}

/** Hides `indexedDB`: gone, or throwing as it does where the origin may store nothing. */
export function hideIndexedDb(throws) {
  const own = Object.getOwnPropertyDescriptor(globalThis, "indexedDB");
  Object.defineProperty(globalThis, "indexedDB", {
    configurable: true,
    get: () => {
      if (throws) throw new DOMException("storage is disabled", "SecurityError");
      return undefined;
    },
  });
  return { own };
}

export function showIndexedDb({ own }) {
  if (own) Object.defineProperty(globalThis, "indexedDB", own);
  else delete globalThis.indexedDB;
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Opens a database as other code would: it does not give way. Resolves with the connection. */
export function openForeign(name, version) {
  return settled(indexedDB.open(name, version));
}

export function closeForeign(database) {
  database.close();
}

/** Opens a database at a version and says whether somebody blocked that. */
export async function upgradeIsBlocked(name, version) {
  const request = indexedDB.open(name, version);
  let blocked = false;
  request.onblocked = () => {
    blocked = true;
  };
  (await settled(request)).close();
  return blocked;
}

/** Deletes a database and says whether somebody blocked that. */
export async function deletionIsBlocked(name) {
  const request = indexedDB.deleteDatabase(name);
  let blocked = false;
  request.onblocked = () => {
    blocked = true;
  };
  await settled(request);
  return blocked;
}

/** Runs `change(store)` in a transaction of its own. */
async function change(name, store, change) {
  const database = await settled(indexedDB.open(name));
  const transaction = database.transaction(store, "readwrite");
  const result = change(transaction.objectStore(store));
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  database.close();
  return result;
}

export function damage(name, store, key, value) {
  return change(name, store, (store) => {
    if (value === undefined) store.delete(key);
    else store.put(value, key);
  });
}

export async function read(name, store, key) {
  return (await change(name, store, (store) => store.get(key))).result;
}

/** The stores of a database, sorted. */
export async function storeNames(name) {
  const database = await settled(indexedDB.open(name));
  const names = [...database.objectStoreNames].join();
  database.close();
  return names;
}
