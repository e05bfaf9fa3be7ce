/**
 * What the package costs a page: the consumer app built by Vite, each file that a first visit loads, gzipped. A
 * chunk that only an environment without a fetchable wasm file loads is named but not counted.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { makeConsumer, run } from "./support/consumer.mjs";

/** The base64 text of the wasm, imported only when fetching the file failed. */
const FALLBACK = /(^|\/)inline-/;

const consumer = makeConsumer();
try {
  run(consumer.folder, "npm", "run", "--silent", "build");
  const assets = join(consumer.folder, "dist/assets");
  let total = 0;
  for (const file of readdirSync(assets).sort()) {
    const bytes = gzipSync(readFileSync(join(assets, file)), { level: 9 }).length;
    const counted = !FALLBACK.test(file);
    if (counted) total += bytes;
    console.log(`${file}: ${kilobytes(bytes)} KB gz${counted ? "" : " (fallback, not counted)"}`);
  }
  console.log(`total: ${kilobytes(total)} KB`);
} finally {
  consumer.remove();
}

function kilobytes(bytes) {
  return (bytes / 1000).toFixed(1);
}
