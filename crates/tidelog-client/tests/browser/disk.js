// Reads and changes the frames of a log behind the back of its store.

async function database(log) {
  const all = await indexedDB.databases();
  const { name } = all.find((one) => one.name.includes(log));
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** The frames of the log, oldest first. */
export async function frames(log) {
  const db = await database(log);
  const all = await done(db.transaction("log").objectStore("log").getAll());
  db.close();
  return all;
}

/** Puts bytes under the key of the n-th frame. */
export async function replace(log, n, bytes) {
  const db = await database(log);
  const store = db.transaction("log", "readwrite").objectStore("log");
  const keys = await done(store.getAllKeys());
  await done(store.put(bytes, keys[n]));
  db.close();
}

/** Changes a byte of every stored snapshot's buckets. */
export async function spoilSnapshots(log) {
  const db = await database(log);
  const store = db.transaction("snapshots", "readwrite").objectStore("snapshots");
  const keys = await done(store.getAllKeys());
  let spoilt = 0;
  for (const key of keys) {
    const value = await done(store.get(key));
    if (!(value instanceof Uint8Array)) continue;
    value[value.length - 1] ^= 1;
    await done(store.put(value, key));
    spoilt++;
  }
  db.close();
  return spoilt;
}
