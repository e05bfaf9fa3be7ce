/**
 * Builds `dist`: the compiled sources, the wasm module with its glue, and the module again as text for
 * environments that cannot fetch it. Needs `src/wasm`, which the build of the Rust crates makes.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FILES = ["tidelog_wasm.js", "tidelog_wasm_bg.wasm"];
const pathOf = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

rmSync(pathOf("dist"), { recursive: true, force: true });
const tsc = spawnSync("tsc", ["-p", pathOf("tsconfig.build.json")], {
  stdio: "inherit",
  shell: true,
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

const missing = FILES.filter((file) => !existsSync(pathOf(`src/wasm/${file}`)));
if (missing.length > 0) {
  console.error(
    `js: src/wasm has no ${missing.join(", ")}. Build the wasm crate first: npm run build`,
  );
  process.exit(1);
}
mkdirSync(pathOf("dist/wasm"), { recursive: true });
for (const file of FILES) copyFileSync(pathOf(`src/wasm/${file}`), pathOf(`dist/wasm/${file}`));
const base64 = readFileSync(pathOf("src/wasm/tidelog_wasm_bg.wasm")).toString("base64");
writeFileSync(pathOf("dist/wasm/inline.js"), `export default "${base64}";\n`);
