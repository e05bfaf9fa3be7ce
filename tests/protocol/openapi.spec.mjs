// The OpenAPI document against the server that gives it, the page of the protocol, and the rules of such documents.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Document } from "./openapi.mjs";
import { program, startServer } from "./server.mjs";

const PAGE = new URL("../../crates/tidelog-server/PROTOCOL.md", import.meta.url);
const METHODS = ["get", "put", "post", "delete", "patch"];

let server;
let document;
before(async () => {
  server = await startServer();
  document = await (await fetch(`${server.base}/openapi.json`)).json();
});
after(() => server.stop());

test("a server and the program give the same document", () => {
  assert.deepEqual(JSON.parse(execFileSync(program(), ["openapi"])), document);
});

test("it is a valid document of version 3.1", async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, null, 2));
  assert.match(document.openapi, /^3\.1\./);
});

test("every reference leads to a schema, and every schema is referred to", () => {
  const referred = new Set();
  visit(document, (value) => {
    if (value.$ref) referred.add(value.$ref);
  });
  const schemas = Object.keys(document.components.schemas);
  assert.deepEqual(
    [...referred].sort(),
    schemas.map((name) => `#/components/schemas/${name}`).sort(),
  );
});

test("every path takes exactly the methods that the document has", async () => {
  for (const [path, calls] of Object.entries(document.paths)) {
    const real = path
      .replace("{log}", "todos")
      .replace("{stream}", "todo/1")
      .replace("{epoch}/{number}", "0/1");
    const documented = METHODS.filter((method) => calls[method]).map((name) => name.toUpperCase());
    const refused = await fetch(server.base + real, { method: "DELETE" });
    assert.equal(refused.status, 405, path);
    const allowed = refused.headers.get("allow").split(",");
    assert.deepEqual(
      allowed.filter((method) => method !== "HEAD").sort(),
      documented.sort(),
      `methods of ${path}`,
    );
  }
});

test("every example is of its schema", () => {
  const checked = new Document(document);
  let count = 0;
  for (const [path, calls] of Object.entries(document.paths)) {
    for (const [method, call] of Object.entries(calls)) {
      const contents = [["requestBody", call.requestBody?.content]];
      for (const [status, { content }] of Object.entries(call.responses)) {
        contents.push([`responses/${status}`, content]);
      }
      for (const [where, content = {}] of contents) {
        for (const [type, { example }] of Object.entries(content)) {
          if (example === undefined) continue;
          const parts = ["paths", path, method, ...where.split("/"), "content", type, "schema"];
          checked.checkAt(`/${parts.map((part) => part.replaceAll("/", "~1")).join("/")}`, example);
          count += 1;
        }
      }
    }
  }
  assert.ok(count > 0);
});

test("the page of the protocol has the same codes with the same status", () => {
  const [table] = /^\| status \| code [\s\S]*?\n\n/m.exec(readFileSync(PAGE, "utf8"));
  const onPage = new Map();
  for (const [, statuses, codes] of table.matchAll(/^\| ([\d, ]+) \| (.*?) \|/gm)) {
    const names = [...codes.matchAll(/`(\w+)`/g)].map(([, name]) => name);
    names.forEach((name, i) => {
      const all = statuses.split(", ");
      onPage.set(name, all[Math.min(i, all.length - 1)]);
    });
  }
  const inDocument = new Map();
  for (const call of Object.values(document.paths).flatMap(Object.values)) {
    for (const [status, { content = {} }] of Object.entries(call.responses)) {
      const [, own] = content["application/problem+json"]?.schema.allOf ?? [];
      for (const code of own?.properties.code.enum ?? []) inDocument.set(code, status);
    }
  }
  const sorted = (codes) => [...codes].sort();
  assert.deepEqual(sorted(inDocument), sorted(onPage));
  assert.deepEqual(
    sorted(inDocument.keys()),
    sorted(document.components.schemas.Problem.properties.code.enum),
  );
});

function visit(value, each) {
  if (typeof value !== "object" || value === null) return;
  each(value);
  for (const inner of Object.values(value)) visit(inner, each);
}
