/**
 * A Chromium with a real profile on disk, that opens a fresh page for each measurement. Documents are served as isolated
 * from other origins, which makes the page's clock fine enough: 0.005 ms instead of 0.1.
 */
import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "@playwright/test";

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // The bare echo is another server of this machine.
  "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
];
/** What talks to the server all the time, and starts no workers. */
const SYNCED = new Set(["rebase", "ping", "pong"]);
/** A subject that does not answer for so long is given up. */
const PATIENCE = 5 * 60_000;

export class Browser {
  #profile;
  #base;
  #context;

  constructor(profile, base) {
    this.#profile = profile;
    this.#base = base;
  }

  /** @param {string} base address of the server, such as `http://127.0.0.1:4000` */
  static async start(base) {
    const profile = await mkdtemp(join(tmpdir(), "tidelog-bench-"));
    const browser = new Browser(profile, base);
    await browser.launch();
    return browser;
  }

  async launch() {
    this.#context = await chromium.launchPersistentContext(this.#profile, {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      headless: false,
      args: FLAGS,
      serviceWorkers: "block",
      // As above.
      bypassCSP: true,
    });
    await this.#isolate();
  }

  async #isolate() {
    await this.#context.route(
      // Workers too: a page that is isolated starts no others.
      (url) => url.pathname.endsWith("/") || /worker[^/]*\.js$/.test(url.pathname),
      async (route) => {
        const response = await route.fetch();
        const headers = {
          ...response.headers(),
          "cross-origin-opener-policy": "same-origin",
          "cross-origin-embedder-policy": "require-corp",
        };
        await route.fulfill({ response, headers });
      },
    );
  }

  /** A page of this site whose script is running. */
  async page(path) {
    const page = await this.#context.newPage();
    await page.goto(this.#base + path);
    return page;
  }

  /** Does each request in a fresh page of its own, all at once; answers in the same order. */
  async run(requests) {
    const pages = [];
    try {
      for (const _ of requests) pages.push(await this.page("/bench/run/"));
      // A route has every request of the page, also those it is not for, wait for this process.
      const synced = requests.every(({ kind }) => SYNCED.has(kind));
      if (synced) await this.#context.unrouteAll();
      const answers = await Promise.all(
        requests.map((request, i) => this.#measure(pages[i], request)),
      );
      if (synced) await this.#isolate();
      return answers;
    } finally {
      for (const page of pages) await page.close();
    }
  }

  async #measure(page, request) {
    const crashed = new Promise((resolve) => {
      page.once("crash", () => resolve({ failed: "the page crashed", wrong: false }));
    });
    const answer = await Promise.race([
      page.evaluate((each) => window.measure(each), request),
      crashed,
      patience(request),
    ]);
    if (request.weigh && !("failed" in answer)) answer.heap = await heapOf(page);
    return answer;
  }

  /** Closes the browser, so that everything is on disk, and opens it once more, so that the database tidies up. */
  async settle() {
    await this.#context.close();
    await this.launch();
    const page = await this.page("/bench/run/");
    // Opening any database makes the browser open the origin's store.
    await page.evaluate(() => indexedDB.databases());
    await this.#context.close();
    this.#context = undefined;
  }

  /** Bytes of everything that IndexedDB keeps in this profile; to be called after `settle`. */
  async bytes() {
    let sum = 0;
    for (const folder of ["IndexedDB", "WebStorage"]) {
      sum += await bytesBelow(join(this.#profile, "Default", folder));
    }
    return sum;
  }

  async stop() {
    await this.#context?.close();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function patience(request) {
  await new Promise((resolve) => {
    setTimeout(resolve, PATIENCE).unref();
  });
  return { failed: `no answer to ${request.kind} in ${PATIENCE / 60_000} minutes`, wrong: false };
}

/** Live JavaScript objects, after two collections: the first may only find what finalizers let go. */
async function heapOf(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.enable");
  await session.send("HeapProfiler.collectGarbage");
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  return { jsBytes: usedSize, collected: true };
}

async function bytesBelow(path) {
  let entries;
  try {
    entries = await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (error.code === "ENOENT") return 0;
    throw error;
  }
  let sum = 0;
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) sum += await bytesBelow(child);
    // Blocks, not lengths: files are allocated ahead and may have holes.
    else sum += (await lstat(child)).blocks * 512;
  }
  return sum;
}
