import { defineConfig } from "vite";

/** One module with its workers, to be served below `/bench/livestore/`. */
export default defineConfig({
  base: "/bench/livestore/",
  worker: { format: "es" },
  build: {
    target: "es2022",
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      input: "livestore.ts",
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "livestore.js" },
    },
  },
});
