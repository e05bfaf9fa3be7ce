/**
 * The real server binary for a test: its own database and port, stopped, killed and started again at will.
 *
 * ```ts
 * import { expect, test } from "../support/tide-server.ts";
 *
 * test("works with the server stopped", async ({ page, tide }) => {
 *   await page.goto(tide.url("/todomvc/"));
 *   await tide.stop();
 *   await page.reload();
 *   await tide.start(); // same port, same database
 * });
 * ```
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { test as base } from "@playwright/test";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const READY_WITHIN_MS = 30_000;

/** What a server is started with. */
export interface TideServerOptions {
  /** Logs to make. Default: `todos` and `loans`. */
  readonly logs?: readonly string[];
  /** False: without `--dev`; then `args` must name the tokens. */
  readonly dev?: boolean;
  /** The folder of pages to serve. Default: the built demo. */
  readonly www?: string;
  /** More arguments for `tidelog serve`. */
  readonly args?: readonly string[];
}

/** One `tidelog serve` on loopback. Its port and database outlive a stop, a kill and a start. */
export class TideServer {
  /** Where it listens, e.g. `http://127.0.0.1:40001`. */
  readonly origin: string;
  /** Its SQLite file. */
  readonly database: string;
  readonly #folder: string;
  readonly #port: number;
  #options: TideServerOptions;
  #process: ChildProcess | undefined;
  #said = "";

  private constructor(folder: string, port: number, options: TideServerOptions) {
    this.#folder = folder;
    this.#port = port;
    this.#options = options;
    this.origin = `http://127.0.0.1:${port}`;
    this.database = join(folder, "tidelog.db");
  }

  /** A server that is not started yet, say to `import` into it first. */
  static async create(options: TideServerOptions = {}): Promise<TideServer> {
    const folder = await mkdtemp(join(tmpdir(), "tidelog-e2e-"));
    return new TideServer(folder, await freePort(), options);
  }

  /** The address of a path of this server. */
  url(path: string): string {
    return new URL(path, this.origin).href;
  }

  /** Starts it and waits until `/readyz` says yes. New `options` replace the earlier ones. */
  async start(options: TideServerOptions = this.#options): Promise<void> {
    if (this.#process) throw new Error("the server is running already");
    this.#options = options;
    const {
      logs = ["todos", "loans"],
      dev = true,
      www = join(ROOT, "www/dist"),
      args = [],
    } = options;
    this.#said = "";
    const child = spawn(binary(), [
      "serve",
      ...["--db", this.database],
      ...["--listen", `127.0.0.1:${this.#port}`],
      ...(dev ? ["--dev"] : []),
      ...logs.flatMap((log) => ["--log", log]),
      ...["--www", www],
      ...args,
    ]);
    this.#process = child;
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.on("data", (bytes: Buffer) => {
        this.#said += bytes.toString();
      });
    }
    await this.#ready(child);
  }

  /** Asks it to end (SIGTERM) and waits until it has. A stopped server stays stopped. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Ends it as a power cut would (SIGKILL): nothing is flushed. */
  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stops it, gracefully or not, and starts it again on the same port and database. */
  async restart(options?: TideServerOptions): Promise<void> {
    await this.stop();
    await this.start(options);
  }

  /** Runs another command of the binary on this server's database, e.g. `import --log loans FILE`. */
  async run(command: "import" | "export" | "verify", args: readonly string[]): Promise<string> {
    const child = spawn(binary(), [command, "--db", this.database, ...args]);
    let out = "";
    let said = "";
    child.stdout.on("data", (bytes: Buffer) => {
      out += bytes.toString();
    });
    child.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`tidelog ${command} ended with ${code}:\n${said}`);
    return out;
  }

  /** What the running (or last) process wrote to its console. */
  get output(): string {
    return this.#said;
  }

  /** Kills what runs and removes the database. */
  async dispose(): Promise<void> {
    await this.kill9();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (!child) return;
    this.#process = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  async #ready(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS;
    for (;;) {
      if (child.exitCode !== null) {
        this.#process = undefined;
        throw new Error(`the server ended with ${child.exitCode}:\n${this.#said}`);
      }
      const answer = await fetch(this.url("/readyz")).catch(() => undefined);
      if (answer?.ok) return;
      if (Date.now() > deadline) {
        await this.kill9();
        throw new Error(`the server was not ready in time:\n${this.#said}`);
      }
      await wait(50);
    }
  }
}

/** The Playwright test with `tide`, a started server of its own for each test; `tideOptions` shape it. */
export const test = base.extend<{ tideOptions: TideServerOptions; tide: TideServer }>({
  tideOptions: [{}, { option: true }],
  tide: async ({ tideOptions }, use) => {
    const server = await TideServer.create(tideOptions);
    try {
      await server.start();
      await use(server);
    } finally {
      await server.dispose();
    }
  },
});

export { expect } from "@playwright/test";

/** `TIDELOG_SERVER`, which the test command sets, else what cargo built last in this checkout. */
function binary(): string {
  const named = process.env.TIDELOG_SERVER;
  if (named) return named;
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
  const built = ["debug", "release"].map((profile) => join(target, profile, "tidelog"));
  const found = built.find((file) => existsSync(file));
  if (!found)
    throw new Error("no server binary: cargo build -p tidelog-server, or set TIDELOG_SERVER");
  return found;
}

/** A port that is free now. Nobody else takes it in practice: the kernel hands out others first. */
async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no port to listen on");
  return address.port;
}
