// The protocol as any HTTP client sees it: JSON over fetch, against the real program.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { startServer } from "./server.mjs";

let server;
before(async () => {
  server = await startServer();
});
after(() => server.stop());

const url = (path) => `${server.base}/v1/logs/todos${path}`;
const get = (path, headers = {}) => fetch(url(path), { headers });
const post = (path, body, headers = {}) =>
  fetch(url(path), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

const commit = (seq, stream, expected) => ({
  id: randomUUID(),
  attempt: 1,
  seq,
  conditions: [{ stream, expected }],
  events: [
    {
      stream,
      type: "todo.added",
      schema: 1,
      data: { title: "Milk" },
      occurredAt: "2026-01-01T00:00:00Z",
    },
  ],
});

async function problem(response, status, code) {
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const document = await response.json();
  assert.equal(document.code, code);
  return document;
}

test("a push is answered with a verdict for each commit, and pulled back in order", async () => {
  const replica = randomUUID();
  const stream = `todo/${randomUUID()}`;
  const [first, stale] = [commit(1, stream, "noStream"), commit(2, stream, "noStream")];
  const pushed = await (await post("/commits", { replica, commits: [first, stale] })).json();
  assert.deepEqual(
    pushed.results.map(({ id, verdict }) => [id, verdict]),
    [
      [first.id, "accepted"],
      [stale.id, "conflict"],
    ],
  );
  assert.deepEqual(pushed.results[1].conflicts, [
    { checkIndex: 0, stream, expected: "noStream", actual: 1 },
  ]);
  const again = await (await post("/commits", { replica, commits: [first] })).json();
  assert.equal(again.results[0].verdict, "duplicate");
  assert.deepEqual(again.results[0].positions, pushed.results[0].positions);

  const { positions } = pushed.results[0];
  const response = await get(`/commits?after=${positions.first - 1}`);
  const page = await response.json();
  assert.equal(response.headers.get("tidelog-head"), String(page.head.position));
  assert.equal(response.headers.get("tidelog-epoch"), page.epoch);
  assert.equal(response.headers.get("tidelog-chain"), page.head.chain);
  const [event] = page.commits[0].events;
  assert.equal(page.commits[0].id, first.id);
  assert.deepEqual([event.stream, event.version, event.data], [stream, 1, { title: "Milk" }]);

  const cursor = `${page.epoch}:${page.head.position}:${page.head.chain}`;
  assert.deepEqual((await (await get(`/commits?after=${cursor}`)).json()).commits, []);
});

test("one event is appended where the stream has the version that was seen", async () => {
  const path = `/streams/${encodeURIComponent(`todo/${randomUUID()}`)}`;
  const body = { type: "todo.added", data: { title: "Bread" } };
  const made = await post(path, body, { "if-none-match": "*" });
  assert.deepEqual([made.status, made.headers.get("etag")], [201, '"1"']);
  await problem(await post(path, body, { "if-none-match": "*" }), 412, "version_conflict");
  assert.equal((await post(path, body, { "if-match": '"1"' })).headers.get("etag"), '"2"');
  const stream = await (await get(`${path}?direction=backward&limit=1`)).json();
  assert.deepEqual([stream.version, stream.events.map(({ version }) => version)], [2, [2]]);
});

test("a wait ends with the next commit", async () => {
  const { head } = await (await get("")).json();
  const waiting = get(`/commits?after=${head.position}&wait=30`);
  await post("/commits", {
    replica: randomUUID(),
    commits: [commit(1, `todo/${randomUUID()}`, "any")],
  });
  const page = await (await waiting).json();
  assert.equal(page.commits.length, 1);
});

test("a live connection tells when the head moves", async () => {
  const { head } = await (await get("")).json();
  const ended = new AbortController();
  const response = await fetch(`${server.base}/v1/live`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ logs: [{ log: "todos", cursor: String(head.position) }] }),
    signal: ended.signal,
  });
  assert.equal(response.status, 200);
  await post("/commits", {
    replica: randomUUID(),
    commits: [commit(1, `todo/${randomUUID()}`, "any")],
  });
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes('"head"')) break;
  }
  const notice = JSON.parse(text.split("\n").find((line) => line.includes('"head"')));
  assert.deepEqual([notice.log, notice.head.position], ["todos", head.position + 1]);
  ended.abort();
});

test("what is wrong is a problem with a code, and nothing is stored", async () => {
  const { head } = await (await get("")).json();
  await problem(await fetch(`${server.base}/v1/logs/none`), 404, "unknown_log");
  await problem(await get("/commits?after=-1"), 400, "invalid_cursor");
  const ahead = await problem(
    await get(`/commits?after=${head.position + 1}`),
    409,
    "cursor_ahead",
  );
  assert.deepEqual(ahead.head, head);
  const sneaky = commit(1, "todo/1", "any");
  sneaky.events[0].position = 1;
  await problem(
    await post("/commits", { replica: randomUUID(), commits: [sneaky] }),
    400,
    "bad_request",
  );
  await problem(
    await post("/commits", {}, { "content-type": "text/plain" }),
    415,
    "unsupported_media_type",
  );
  assert.deepEqual((await (await get("")).json()).head, head);
});
