/**
 * The app shell, offline: every file of the build is in one cache before this version takes over, and
 * a page gets all its files from that one version.
 *
 * - install: fetch the whole list, all or nothing. A failed file means the version is not installed.
 * - waiting: a new version takes over when the last page of the old one is gone, or when a page asks
 *   (`{ type: "take-over" }`), which then reloads.
 * - activate: older caches go.
 * - fetch: the list from the cache; anything else, `/v1/…` above all, goes to the network untouched.
 */
declare const self: ServiceWorkerGlobalScope;
/** Put in by the build: urls of all files, and the hash over them. */
declare const __PRECACHE__: readonly string[];
declare const __VERSION__: string;

const PREFIX = "tidelog-www-";
const CACHE = PREFIX + __VERSION__;
const KNOWN = new Set(__PRECACHE__);

self.addEventListener("install", (event) => {
  event.waitUntil(install());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(activate());
});

self.addEventListener("message", (event) => {
  if (event.data?.type === "take-over") event.waitUntil(self.skipWaiting());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (KNOWN.has(url.pathname)) {
    event.respondWith(cached(url.pathname, request));
  } else if (request.mode === "navigate" && KNOWN.has(`${url.pathname}/`)) {
    event.respondWith(Response.redirect(`${url.pathname}/${url.search}`, 301));
  }
});

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  // `reload` goes past the HTTP cache, which may hold a page of another version.
  await cache.addAll(__PRECACHE__.map((url) => new Request(url, { cache: "reload" })));
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  await self.clients.claim();
}

async function cached(pathname: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  // By path: a page's query (`?user=…`) is for its script, not for the file.
  return (await cache.match(pathname)) ?? fetch(request);
}

export {};
