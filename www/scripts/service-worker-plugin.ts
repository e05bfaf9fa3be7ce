/**
 * Builds `src/service-worker/worker.ts` into `/sw.js` with the list of everything the build made:
 * pages, scripts, styles, icons and the `.wasm`. The list's hash names the cache, so a build with
 * the same files is the same service worker and any other build is a new one.
 *
 * The worker is bundled apart from the pages: a service worker cannot share chunks with them.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { build, type Plugin, type ResolvedConfig } from "vite";

/**
 * Files that no page fetches, and the benchmark, whose libraries weigh more than all the rest; `inline-…` is the wasm as text, for
 * pages that were built without the `.wasm`.
 */
const NOT_CACHED = /(^|\/)(sw\.js|.*\.map|\.vite\/.*|inline-[^/]*\.js|bench\/.*)$/;

export function serviceWorker(): Plugin {
  let config: ResolvedConfig;
  return {
    name: "tidelog-www:service-worker",
    apply: "build",
    configResolved(resolved) {
      config = resolved;
    },
    writeBundle: {
      order: "post",
      sequential: true,
      async handler() {
        const out = resolve(config.root, config.build.outDir);
        const files = (await filesUnder(out)).filter((file) => !NOT_CACHED.test(file)).sort();
        const version = await hashOf(out, files);
        await build({
          configFile: false,
          root: config.root,
          logLevel: "warn",
          publicDir: false,
          define: {
            __PRECACHE__: JSON.stringify(files.map(fileToUrl)),
            __VERSION__: JSON.stringify(version),
          },
          build: {
            outDir: out,
            emptyOutDir: false,
            target: "es2022",
            rolldownOptions: {
              input: join(config.root, "src/service-worker/worker.ts"),
              output: { format: "iife", entryFileNames: "sw.js" },
            },
          },
        });
        config.logger.info(`service worker: ${files.length} files precached, version ${version}`);
      },
    },
  };
}

/** The url that a page uses for a file of `dist`: a folder's `index.html` is the folder. */
export function fileToUrl(file: string): string {
  return `/${file.replace(/(^|\/)index\.html$/, "$1")}`;
}

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
}

async function hashOf(folder: string, files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) {
    hash
      .update(file)
      .update("\0")
      .update(await readFile(join(folder, file)));
  }
  return hash.digest("hex").slice(0, 16);
}
