// Starts `tidelog serve` for a test: the program of TIDELOG_SERVER, or the newest of this workspace's builds.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The program under test. */
export function program() {
  if (process.env.TIDELOG_SERVER) return process.env.TIDELOG_SERVER;
  const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
  const built = ["debug", "release"]
    .map((profile) => join(target, profile, "tidelog"))
    .filter(existsSync)
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (built.length === 0) throw new Error("tidelog is not built: cargo build -p tidelog-server");
  return built[0];
}

/** A running server with the log `todos`; `stop` ends it and removes its files. */
export async function startServer() {
  const directory = mkdtempSync(join(tmpdir(), "tidelog-"));
  const db = join(directory, "tidelog.db");
  const args = ["serve", "--db", db, "--listen", "127.0.0.1:0", "--dev", "--log", "todos"];
  const child = spawn(program(), args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, "line"), ended.then(() => [""])]);
  const base = /http:\S+/.exec(first[0])?.[0];
  if (base === undefined) throw new Error("tidelog serve did not start");
  const stop = async () => {
    child.kill("SIGTERM");
    const [code] = await ended;
    rmSync(directory, { recursive: true });
    if (code !== 0) throw new Error(`tidelog serve ended with ${code}`);
  };
  return { base, stop };
}
