// The examples of PROTOCOL.md, one after the other, against the real program.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Document } from "./openapi.mjs";
import { startServer } from "./server.mjs";

const PAGE = new URL("../../crates/tidelog-server/PROTOCOL.md", import.meta.url);
const BLOCK = /^```http (request|response|stream)\n([\s\S]*?)^```$/gm;
const VARIABLE = /\{(\w+)\}/g;

let server;
let document;
before(async () => {
  server = await startServer();
  document = new Document(await (await fetch(`${server.base}/openapi.json`)).json());
});
after(() => server.stop());

/** What each `{name}` turned out to be. */
const known = new Map();
const fill = (text) => text.replace(VARIABLE, (whole, name) => known.get(name) ?? whole);

/** First line, headers, and the rest. */
function parse(text) {
  const [head, ...rest] = text.split("\n\n");
  const [first, ...headers] = head.split("\n").filter((line) => line !== "");
  const fields = headers.map((line) => line.split(/:\s*(.*)/s).slice(0, 2));
  return { first, headers: Object.fromEntries(fields), rest };
}

function ask({ first, headers, rest }, signal) {
  const [method, path] = fill(first).split(" ");
  // One example shows what is refused.
  if (rest[0] && !rest[0].includes('"position"')) {
    document.checkRequest(method, path, JSON.parse(rest[0]));
  }
  return fetch(server.base + path, { method, headers, body: rest[0] || undefined, signal });
}

/** Is it what the page says? A `{name}` stands for any text at first, and then for the same. */
function matches(actual, expected, where) {
  if (typeof expected === "string" && typeof actual === "string") {
    const names = [];
    const pattern = expected.split(VARIABLE).map((part, i) => {
      if (i % 2 === 0) return escaped(part);
      if (known.has(part)) return escaped(known.get(part));
      names.push(part);
      return "(.+)";
    });
    const found = new RegExp(`^${pattern.join("")}$`).exec(actual);
    assert.ok(
      found,
      `${where} is ${JSON.stringify(actual)}, the page says ${JSON.stringify(expected)}`,
    );
    names.forEach((name, i) => {
      known.set(name, found[i + 1]);
    });
  } else if (typeof expected === "object" && typeof actual === "object") {
    assert.deepEqual(
      Object.keys(actual).sort(),
      Object.keys(expected).sort(),
      `fields of ${where}`,
    );
    for (const key of Object.keys(expected)) matches(actual[key], expected[key], `${where}.${key}`);
  } else {
    assert.deepEqual(actual, expected, where);
  }
}

function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

async function check(asked, response, { first, headers, rest }) {
  assert.equal(response.status, Number(first));
  for (const [name, value] of Object.entries(headers)) {
    matches(response.headers.get(name), value, `the header ${name}`);
  }
  const answer = await response.json();
  matches(answer, JSON.parse(rest[0]), "the answer");
  const [method, path] = fill(asked.first).split(" ");
  document.checkAnswer(method, path, response, answer);
}

/** As many lines as the page shows; signs of life come whenever they come. */
async function checkLines(asked) {
  const ended = new AbortController();
  const response = await ask(asked, ended.signal);
  const expected = asked.rest[1].trim().split("\n");
  const lines = [];
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const whole = text.split("\n").slice(0, -1);
    lines.push(...whole.filter((line) => line !== "{}"));
    text = text.slice(text.lastIndexOf("\n") + 1);
    if (lines.length >= expected.length) break;
  }
  ended.abort();
  expected.forEach((line, i) => {
    const found = JSON.parse(lines[i]);
    matches(found, JSON.parse(line), `line ${i + 1}`);
    document.checkAnswer(...asked.first.split(" "), response, found);
  });
}

const blocks = [...readFileSync(PAGE, "utf8").matchAll(BLOCK)].map(([, kind, text]) => ({
  kind,
  ...parse(text),
}));

test("the page has examples of every call, each with its answer", () => {
  const calls = blocks.filter(({ kind }) => kind !== "response").map(({ first }) => first);
  for (const call of [
    /^GET \/v1\/logs\/\w+$/,
    /^POST .*\/commits$/,
    /^GET .*\/commits\?/,
    /^POST .*\/streams\//,
    /^GET .*\/streams\//,
    /^POST \/v1\/live$/,
  ]) {
    assert.ok(
      calls.some((each) => call.test(each)),
      String(call),
    );
  }
  for (const [i, { kind }] of blocks.entries()) {
    if (kind === "request") assert.equal(blocks[i + 1]?.kind, "response");
    if (kind === "response") assert.equal(blocks[i - 1]?.kind, "request");
  }
});

for (const [i, block] of blocks.entries()) {
  if (block.kind === "response") continue;
  test(`example ${i + 1}: ${block.first}`, async () => {
    if (block.kind === "stream") await checkLines(block);
    else await check(block, await ask(block), blocks[i + 1]);
  });
}
