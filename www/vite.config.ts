import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { contentSecurityPolicy } from "./scripts/content-security-policy.ts";
import { serviceWorker } from "./scripts/service-worker-plugin.ts";

/** Where `tidelog serve` listens while `vite` serves the pages. */
const server = process.env.TIDELOG_SERVER ?? "http://127.0.0.1:8080";

/** What only the benchmark needs lies apart: it is not kept offline (see the service worker's plugin). */
const BENCH_FILE = "assets/bench/[name]-[hash][extname]";
const APP_FILE = "assets/[name]-[hash][extname]";

function benchApart({ moduleIds }: { readonly moduleIds: readonly string[] }): string {
  const file = moduleIds.some((id) => id.includes("/src/bench/")) ? BENCH_FILE : APP_FILE;
  return file.replace("[extname]", ".js");
}

export default defineConfig({
  plugins: [react(), contentSecurityPolicy(), serviceWorker()],
  appType: "mpa",
  build: {
    target: "es2022",
    // The largest is the wasm as text, which only a page without the `.wasm` would fetch.
    chunkSizeWarningLimit: 2000,
    rolldownOptions: {
      input: {
        landing: "index.html",
        todomvc: "todomvc/index.html",
        loans: "loans/index.html",
        bench: "bench/index.html",
        benchRun: "bench/run/index.html",
      },
      output: {
        entryFileNames: benchApart,
        chunkFileNames: benchApart,
        assetFileNames: ({ names }) =>
          names.some((name) => /^(bench|automerge)/.test(name)) ? BENCH_FILE : APP_FILE,
      },
    },
  },
  server: { proxy: { "/v1": server } },
  test: { include: ["src/**/*.unit.spec.ts", "scripts/**/*.unit.spec.ts"] },
});
