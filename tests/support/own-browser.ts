/**
 * A Chromium with a profile on disk that can be killed as by a power cut and opened again. Playwright's own
 * browsers forget their profile when they end.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Browser, type BrowserContext, chromium, type Page } from "@playwright/test";

export class OwnBrowser {
  readonly #executable: string;
  readonly #flags: readonly string[];
  readonly #profile: string;
  #process: ChildProcess | undefined;
  #browser: Browser | undefined;

  private constructor(executable: string, flags: readonly string[], profile: string) {
    this.#executable = executable;
    this.#flags = flags;
    this.#profile = profile;
  }

  /** A browser with an empty profile, not started yet. */
  static async create(executable: string, flags: readonly string[]): Promise<OwnBrowser> {
    const profile = await mkdtemp(join(tmpdir(), "tidelog-profile-"));
    return new OwnBrowser(executable, flags, profile);
  }

  /** Starts it on its profile. */
  async start(): Promise<BrowserContext> {
    const child = spawn(
      this.#executable,
      [
        "--headless=new",
        "--remote-debugging-port=0",
        `--user-data-dir=${this.#profile}`,
        ...this.#flags,
        "about:blank",
      ],
      // A process group of its own, so that all of it can be killed at once.
      { detached: true, stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#process = child;
    const browser = await chromium.connectOverCDP(await endpointOf(child));
    this.#browser = browser;
    const [context] = browser.contexts();
    if (context === undefined) throw new Error("the browser has no window");
    return context;
  }

  /** SIGKILL to every process of it: nothing is written after this. */
  async kill9(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const ended = once(child, "exit");
    process.kill(-child.pid, "SIGKILL");
    await ended;
  }

  /** The process ids of its renderers: of pages, and of one that it keeps for the next page. */
  async renderers(): Promise<readonly number[]> {
    if (this.#browser === undefined) throw new Error("the browser does not run");
    const session = await this.#browser.newBrowserCDPSession();
    try {
      const { processInfo } = await session.send("SystemInfo.getProcessInfo");
      return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
    } finally {
      await session.detach();
    }
  }

  /**
   * The process id of the renderer of a page. The browser does not tell, so each is stopped for a moment: the page's own is the one
   * without which it does not answer.
   */
  async rendererOf(page: Page): Promise<number> {
    for (const id of await this.renderers()) {
      process.kill(id, "SIGSTOP");
      const answer = page.evaluate(() => true);
      const answers = await Promise.race([answer, wait(1_000).then(() => false)]);
      process.kill(id, "SIGCONT");
      await answer;
      if (!answers) return id;
    }
    throw new Error("the page answers without any of the renderers");
  }

  /** Copies the profile, say to look at it after the test. */
  async keepProfile(folder: string): Promise<void> {
    await cp(this.#profile, folder, { recursive: true });
  }

  async dispose(): Promise<void> {
    await this.kill9();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Chromium writes where it listens to its standard error. */
async function endpointOf(child: ChildProcess): Promise<string> {
  let said = "";
  for await (const bytes of child.stderr ?? []) {
    said += String(bytes);
    const found = /DevTools listening on (ws:\S+)/.exec(said);
    if (found?.[1]) {
      return found[1];
    }
  }
  throw new Error(`the browser did not start:\n${said}`);
}
