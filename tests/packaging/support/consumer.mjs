/** Makes a consumer of the npm package: packs it and installs the tarball in a fresh app of its own. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const TEMPLATE = fileURLToPath(new URL("../consumer", import.meta.url));

/** The version of a development tool that this checkout is locked to: consumers get the same. */
function locked(name) {
  const file = join(ROOT, "node_modules", name, "package.json");
  return `${name}@${JSON.parse(readFileSync(file, "utf8")).version}`;
}

/** Runs a program in `folder`; its output is returned, or thrown if it fails. */
export function run(folder, program, ...args) {
  const done = spawnSync(program, args, { cwd: folder, encoding: "utf8" });
  if (done.error) throw done.error;
  if (done.status !== 0) {
    throw new Error(
      `${program} ${args.join(" ")} ended with ${done.status}\n${done.stdout}${done.stderr}`,
    );
  }
  return done.stdout;
}

/** A fresh app outside the checkout, so that nothing resolves to the workspace by accident. */
export function makeConsumer() {
  const folder = mkdtempSync(join(tmpdir(), "tidelog-consumer-"));
  const [packed] = JSON.parse(
    run(
      join(ROOT, "js"),
      "npm",
      "pack",
      "--json",
      "--ignore-scripts",
      "--pack-destination",
      folder,
    ),
  );
  cpSync(TEMPLATE, folder, { recursive: true });
  const tools = [locked("vite"), locked("typescript"), locked("zod")];
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline"];
  run(folder, "npm", "install", ...quiet, join(folder, packed.filename), ...tools);
  return {
    folder,
    files: packed.files.map((file) => file.path),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
