/** The packed npm package as its consumers meet it: installed, type-checked, bundled, served, imported in Node. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "@playwright/test";
import { makeConsumer, run } from "./support/consumer.mjs";
import { serveFolder } from "./support/static-server.mjs";

let consumer;
let browser;

before(async () => {
  consumer = makeConsumer();
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  });
});

after(async () => {
  await browser?.close();
  consumer?.remove();
});

test("the tarball holds the built package and no sources", () => {
  assert.ok(consumer.files.includes("dist/index.js"));
  assert.ok(consumer.files.includes("dist/index.d.ts"));
  assert.ok(consumer.files.includes("dist/wasm/tidelog_wasm_bg.wasm"));
  assert.deepEqual(
    consumer.files.filter((file) => file.startsWith("src/") || file.startsWith("test/")),
    [],
  );
});

test("a strict TypeScript consumer type-checks, declarations included", () => {
  assert.equal(run(consumer.folder, "npm", "run", "--silent", "check"), "");
});

test("the README's examples type-check, one after the other", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code);
  assert.ok(examples.length >= 2, "README.md has examples");
  writeFileSync(join(consumer.folder, "src/readme.ts"), examples.join("\n"));
  try {
    assert.equal(run(consumer.folder, "npm", "run", "--silent", "check"), "");
  } finally {
    rmSync(join(consumer.folder, "src/readme.ts"));
  }
});

test("Node imports the package, defines a stream and creates a log without a browser", () => {
  const script = `
    const { createLog, newId, projection, stream } = await import("tidelog");
    const note = stream("note", { events: {}, initial: {}, evolve: {} });
    const log = createLog({ name: "notes", streams: { note } });
    console.log(JSON.stringify([log.rows(note).getSnapshot(), newId().length, typeof projection]));
  `;
  const said = run(consumer.folder, "node", "--input-type=module", "-e", script);
  assert.deepEqual(JSON.parse(said), [[], 36, "function"]);
});

test("a Vite production build appends an event, shows it, and shows it again after a reload", async () => {
  run(consumer.folder, "npm", "run", "--silent", "build");
  const server = await serveFolder(join(consumer.folder, "dist"));
  try {
    await appendsAndShows(server.origin);
  } finally {
    await server.close();
  }
});

test("the Vite dev server appends an event, shows it, and shows it again after a reload", async () => {
  const vite = spawn(
    join(consumer.folder, "node_modules/.bin/vite"),
    ["--host", "127.0.0.1", "--port", "0", "--clearScreen", "false"],
    { cwd: consumer.folder, env: { ...process.env, NO_COLOR: "1" } },
  );
  try {
    await appendsAndShows(await addressOf(vite));
  } finally {
    const ended = once(vite, "exit");
    vite.kill();
    await ended;
  }
});

async function appendsAndShows(origin) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(origin);
    await page.getByRole("button", { name: "Write" }).click();
    await page.getByText("Hello, log").waitFor();
    await page.locator("body[data-durable]").waitFor();
    await page.reload();
    await page.getByText("Hello, log").waitFor();
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
  }
}

/** The address that Vite prints once it listens. */
function addressOf(vite) {
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (bytes) => {
      said += bytes;
      const address = said.match(/http:\/\/127\.0\.0\.1:\d+/)?.[0];
      if (address) resolve(address);
    };
    vite.stdout.on("data", hear);
    vite.stderr.on("data", hear);
    vite.on("exit", (code) => reject(new Error(`vite ended with ${code}:\n${said}`)));
  });
}
