// Frames of every format that the real program answers with, read by FRAMES.md alone: the same commits as in JSON, and the same chain.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chainAfterFrame } from "./chain.mjs";
import { decode, split } from "./frames.mjs";
import { startServer } from "./server.mjs";

const FRAMES = "application/vnd.tidelog.frames";
const LOG = "/v1/logs/todos";
const ZEROS = "0".repeat(64);
const REPLICAS = ["01980000-0000-7000-8000-0000000000aa", "11111111-2222-4333-8444-555555555555"];

let server;
/** How many positions the commits take that have something of everything; what follows fills a segment. */
let rich;
before(async () => {
  server = await startServer();
  rich = await write();
});
after(() => server.stop());

test("a pull of frames has format 1, and what JSON has", async () => {
  const frames = await pulled(`${LOG}/commits?after=0&limit=${rich}`);
  assert.deepEqual(new Set(frames.map(({ header }) => header.format)), new Set([1]));
  const told = await json(`${LOG}/commits?after=0&limit=${rich}`);
  agree(frames, told);
});

for (const from of [0, 2, 3]) {
  test(`what a filter leaves out after position ${from} comes in format 3, with the gaps of JSON`, async () => {
    const query = `${LOG}/commits?after=${from}&limit=${rich}&kind=todo`;
    const frames = await pulled(query);
    assert.ok(frames.some(({ header }) => header.format === 3));
    agree(frames, await json(query));
  });
}

test("a frame may hold gaps alone", async () => {
  const query = `${LOG}/commits?after=${rich}&kind=nothing`;
  const frames = await pulled(query);
  assert.deepEqual(new Set(frames.map(({ header }) => header.format)), new Set([3]));
  assert.equal(frames[0].header.commits, 0);
  agree(frames, await json(query));
});

test("a segment has format 2, what pulls have, and a chain that the next pull goes on from", async () => {
  const { epoch, segments } = await json(LOG);
  assert.equal(segments.count, 1);
  const frames = await pulled(`${LOG}/segments/${epoch}/1`);
  assert.deepEqual(new Set(frames.map(({ header }) => header.format)), new Set([2]));
  const last = frames.at(-1).commits.at(-1);
  const end = last.position + last.events.length - 1;
  const commits = [];
  for (let at = 0; at < end; at = commits.at(-1).events.at(-1).position) {
    commits.push(...(await json(`${LOG}/commits?after=${at}&limit=${end - at}`)).commits);
  }
  const hash = agree(frames, { epoch, commits });
  const [next] = await pulled(`${LOG}/commits?after=${end}&limit=1`);
  assert.equal(next.header.chainBefore, hash);
});

/** Writes a log that needs every lane; answers how far it was before only fillers came. */
async function write() {
  const seen = (commit, index) => `${commit.id}/1/${index}`;
  const first = commit(
    1,
    [{ stream: "todo/1", expected: "noStream" }],
    [
      event("todo/1", { title: "Milk \u{1F95B}" }, "1969-07-20T20:17:40.123Z", {
        tags: ["one", "two"],
        meta: { correlationId: "a", causationId: "b", device: "c" },
      }),
      event("list/home", [1, -2.5, null], undefined, { tags: ["two"], schema: 7 }),
    ],
  );
  const second = commit(
    4_294_967_296,
    [
      { stream: "todo/1", expected: { exact: 1, event: seen(first, 0) } },
      { stream: "list/home", expected: { exact: 1 } },
      { stream: "todo/none", expected: "any" },
    ],
    [event("list/home", {}), event("todo/1", "x"), event("list/home", {}), event("todo/2", 1)],
  );
  const hidden = commit(3, [{ stream: "todo/1", expected: "exists" }], [event("note/1", "x")]);
  const third = commit(
    4,
    [
      { stream: "todo/1", expected: { exact: 2, event: seen(second, 1) } },
      { stream: "todo/2", expected: { exact: 1, event: seen(second, 3) } },
      { stream: "list/home", expected: { exact: 3, event: seen(second, 2) } },
    ],
    [event("todo/2", { secret: true }), event("todo/1", {}, "2026-01-01T12:00:00.001Z")],
  );
  for (const [number, commits] of [[first, second], [hidden], [third]].entries()) {
    await push(REPLICAS[number % 2], commits);
  }
  const erased = { stream: "todo/2", versions: [[2, 2]], reason: "asked" };
  assert.equal((await post(`${LOG}/erasures`, erased)).status, 201);
  const { head, segments } = await json(LOG);
  // One is left that the segment does not hold.
  const fillers = Math.ceil(segments.events / 1000) + 1;
  const filler = Array.from({ length: 1000 }, (_, number) => event("other/1", number));
  await push(
    REPLICAS[0],
    Array.from({ length: fillers }, (_, number) => commit(100 + number, [], filler)),
  );
  return head.position;
}

function commit(seq, conditions, events) {
  return { id: crypto.randomUUID(), seq, conditions, events };
}

function event(stream, data, occurredAt = "2026-01-01T12:00:00.000Z", more = {}) {
  return { stream, type: `${stream.split("/")[0]}.happened`, data, occurredAt, ...more };
}

function post(path, body) {
  const headers = { "content-type": "application/json" };
  return fetch(server.base + path, { method: "POST", headers, body: JSON.stringify(body) });
}

async function push(replica, commits) {
  const { results } = await (await post(`${LOG}/commits`, { replica, commits })).json();
  assert.deepEqual(new Set(results.map(({ verdict }) => verdict)), new Set(["accepted"]));
}

async function json(path) {
  const answer = await fetch(server.base + path);
  assert.equal(answer.status, 200);
  return answer.json();
}

async function pulled(path) {
  const answer = await fetch(server.base + path, { headers: { accept: FRAMES } });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), FRAMES);
  return split(new Uint8Array(await answer.arrayBuffer())).map(decode);
}

/** Frames that follow each other say what the answer in JSON says. Returns the chain hash at their end. */
function agree(frames, { epoch, commits, gaps }) {
  const found = [];
  let end;
  for (const frame of frames) {
    assert.equal(frame.header.epoch, epoch);
    if (end !== undefined) assert.equal(frame.header.chainBefore, end);
    if (frame.header.first === 1) assert.equal(frame.header.chainBefore, ZEROS);
    end = chainAfterFrame(frame, (commit, chain) => found.push(asJson(commit, chain)));
  }
  assert.deepEqual(found, commits);
  assert.deepEqual(
    frames.flatMap((frame) => frame.gaps),
    gaps ?? [],
  );
  return end;
}

/** A commit of a frame as PROTOCOL.md has it in JSON. */
function asJson({ recordedAt: taken, ...commit }, chain) {
  const next = new Map(commit.versions.map(({ stream, first }) => [stream, first]));
  const recordedAt = time(taken);
  const by = commit.actor === undefined ? {} : { actor: commit.actor };
  const events = commit.events.map((event, index) => {
    const version = next.get(event.stream);
    next.set(event.stream, version + 1);
    const meta = Object.entries(event.meta).filter(([, value]) => value !== undefined);
    return {
      id: `${commit.id}/${commit.attempt}/${index}`,
      stream: event.stream,
      version,
      position: commit.position + index,
      type: event.type,
      schema: event.schema,
      ...(event.digest ? { erased: event.digest } : { data: JSON.parse(event.data) }),
      occurredAt: time(event.occurredAt),
      recordedAt,
      ...by,
      ...(event.tags.length > 0 ? { tags: event.tags } : {}),
      ...(meta.length > 0 ? { meta: Object.fromEntries(meta) } : {}),
    };
  });
  const { id, attempt, replica, conditions } = commit;
  const told = { id, attempt, replica, seq: Number(commit.seq), recordedAt, ...by, chain, events };
  return conditions.length > 0 ? { ...told, conditions } : told;
}

function time(millis) {
  return new Date(Number(millis)).toISOString();
}
