// FRAMES.md: its example byte by byte, and a reader made by that page alone against the real program and the golden frames.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chainAfterFrame, digest } from "./chain.mjs";
import { decode, split } from "./frames.mjs";
import { startServer } from "./server.mjs";

const PAGE = new URL("../../crates/tidelog-server/FRAMES.md", import.meta.url);
const FIXTURES = new URL("../fixtures/", import.meta.url);
const FRAMES = "application/vnd.tidelog.frames";

let server;
before(async () => {
  server = await startServer();
});
after(() => server.stop());

/** The rows of the example: where, which bytes, and what they are. */
const rows = [
  ...readFileSync(PAGE, "utf8").matchAll(/^\| (\d+) \| `([0-9a-f ]+)` \| (.+) \|$/gm),
].map(([, at, hex, what]) => ({
  at: Number(at),
  bytes: Buffer.from(hex.replaceAll(" ", ""), "hex"),
  what,
}));
const example = new Uint8Array(Buffer.concat(rows.map(({ bytes }) => bytes)));

test("the rows of the example stand where the page says and leave nothing out", () => {
  let at = 0;
  for (const row of rows) {
    assert.equal(row.at, at, row.what);
    at += row.bytes.length;
  }
  assert.equal(decode(example).header.length, at);
});

test("the example is the commit that the page says, and the server takes it", async () => {
  const { commits } = decode(example);
  const time = { occurredAt: BigInt(Date.parse("2026-01-01T12:00:00.000Z")) };
  const rest = { schema: 1, ...time, tags: [], meta: nothing() };
  assert.deepEqual(commits, [
    {
      id: "01980000-0000-7000-8000-000000000001",
      attempt: 1,
      replica: "01980000-0000-7000-8000-0000000000aa",
      seq: 1n,
      conditions: [{ stream: "todo/1", expected: "noStream" }],
      policy: "rerun",
      events: [
        { stream: "todo/1", type: "todo.added", ...rest, data: '{"title":"Milk"}' },
        { stream: "list/home", type: "list.grew", ...rest, data: "{}" },
      ],
    },
  ]);
  const headers = { "content-type": FRAMES, "tidelog-replica": commits[0].replica };
  const url = `${server.base}/v1/logs/todos/commits`;
  const pushed = await (await fetch(url, { method: "POST", headers, body: example })).json();
  assert.equal(pushed.results[0].verdict, "accepted");

  const pulled = await fetch(`${url}?after=0`, { headers: { accept: FRAMES } });
  const frames = split(new Uint8Array(await pulled.arrayBuffer())).map(decode);
  const told = await (await fetch(`${url}?after=0`)).json();
  assert.equal(frames.length, 1);
  const [{ header, commits: recorded }] = frames;
  assert.deepEqual([header.isRecorded, header.epoch, header.first], [true, told.epoch, 1]);
  assert.equal(header.chainBefore, "0".repeat(64));
  const [commit] = recorded;
  const [asJson] = told.commits;
  assert.equal(Number(commit.seq), asJson.seq);
  assert.equal(Number(commit.recordedAt), Date.parse(asJson.recordedAt));
  for (const field of ["id", "attempt", "replica", "conditions", "actor"]) {
    assert.deepEqual(commit[field], asJson[field], field);
  }
  assert.deepEqual(
    commit.events.map(({ stream, type, data }) => [stream, type, JSON.parse(data)]),
    asJson.events.map(({ stream, type, data }) => [stream, type, data]),
  );
  assert.deepEqual(commit.versions, pushed.results[0].versions);
});

test("a changed byte shows, wherever it is", () => {
  for (const [at] of example.entries()) {
    const changed = Uint8Array.from(example);
    changed[at] ^= 1;
    assert.throws(() => decode(changed), `byte ${at}`);
  }
});

const GOLDEN = ["v1/recorded", "v1/recorded-erased", "v1/local", "v1/empty"];
GOLDEN.push("v2/merged", "v2/merged-erased", "v3/gaps");
for (const name of GOLDEN) {
  test(`the golden frame ${name} reads as it is described`, () => {
    const bytes = new Uint8Array(readFileSync(new URL(`${name}.frame`, FIXTURES)));
    const described = JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES)));
    const { header, commits, gaps } = decode(bytes);
    assert.equal(`v${header.format}`, name.split("/")[0]);
    assert.equal(header.isRecorded, described.recorded);
    assert.equal(header.length, described.bytes);
    assert.equal(header.epoch, described.epoch);
    assert.equal(`${header.first}`, `${described.first}`);
    assert.equal(header.events, described.events);
    assert.equal(header.chainBefore, described.chainBefore);
    assert.deepEqual(
      gaps.map(({ from, to, reason, chain }) => [`${from}`, `${to}`, reason, chain]),
      described.gaps ?? [],
    );
    const chains = new Map();
    const keep = (commit, chain) => chains.set(commit, chain);
    if (header.isRecorded) chainAfterFrame({ header, commits, gaps }, keep);
    const told = header.isRecorded ? recorded : local;
    assert.deepEqual(
      commits.map((commit) => told(commit, chains.get(commit))),
      described.commits,
    );
  });
}

/** A commit as the descriptions beside the golden frames have it: numbers of 64 bits are texts. */
function recorded(commit, chain) {
  const { position, recordedAt, actor = null, versions } = commit;
  return {
    commit: content(commit),
    position: `${position}`,
    recordedAt: `${recordedAt}`,
    actor,
    versions: versions.map(({ stream, first, last }) => [stream, `${first}`, `${last}`]),
    chain,
  };
}

function local(commit) {
  const { policy, command = null } = commit;
  return { commit: content(commit), policy, command };
}

function content(commit) {
  const { id, attempt, replica, seq, conditions, events } = commit;
  return {
    id,
    attempt,
    replica,
    seq: `${seq}`,
    conditions: conditions.map(({ stream, expected }) => [stream, words(expected)]),
    events: events.map(({ occurredAt, meta, data = null, digest, ...event }) => ({
      ...event,
      occurredAt: `${occurredAt}`,
      data,
      dataDigest: digest ?? createHash("sha256").update(data).digest("hex"),
      correlationId: meta.correlationId ?? null,
      causationId: meta.causationId ?? null,
      device: meta.device ?? null,
    })),
    digest: digest(commit).toString("hex"),
  };
}

function words(expected) {
  const known = { any: "any version", noStream: "no stream", exists: "an existing stream" };
  if (typeof expected === "string") return known[expected];
  const { exact, event } = expected;
  return event === undefined ? `version ${exact}` : `version ${exact} (${event})`;
}

function nothing() {
  return { correlationId: undefined, causationId: undefined, device: undefined };
}
