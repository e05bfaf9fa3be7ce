/** Requests as no Tidelog client would send them: a problem document each, and nothing stored. */
import { expect, test } from "../support/demo.ts";
import { eventsOf, NO_CURSOR, RawWriter, uuidV7 } from "../support/server-log.ts";

const JSON_TYPE = { "content-type": "application/json" };
const COMMITS = "/v1/logs/todos/commits";

/** A push of todos, with whatever a case changes about each commit and each event. */
function bodyWith(changes: { commit?: object; event?: object }, count = 1): string {
  const writer = new RawWriter({ url: String }, "todos");
  const commits = Array.from({ length: count }, () => {
    const good = writer.addTodo("Never stored");
    const events = good.events.map((event) => ({ ...event, ...changes.event }));
    return { ...good, events, ...changes.commit };
  });
  return JSON.stringify({ replica: uuidV7(), cursor: NO_CURSOR, commits });
}

const CASES: readonly {
  readonly name: string;
  readonly path?: string;
  readonly body?: () => string;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly code: string;
}[] = [
  { name: "no JSON", body: () => "{commits:", status: 400, code: "bad_request" },
  { name: "JSON of another shape", body: () => "[]", status: 400, code: "bad_request" },
  { name: "an empty body", body: () => "", status: 400, code: "bad_request" },
  {
    name: "JSON nested without end",
    body: () => `{"commits":${"[".repeat(100_000)}`,
    status: 400,
    code: "bad_request",
  },
  {
    name: "a position set by the client",
    body: () => bodyWith({ event: { position: 1 } }),
    status: 400,
    code: "bad_request",
  },
  {
    name: "an actor set by the client",
    body: () => bodyWith({ commit: { actor: "root" } }),
    status: 400,
    code: "bad_request",
  },
  {
    name: "another content type",
    body: () => bodyWith({}),
    headers: { "content-type": "text/plain" },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "a frame that is none",
    body: () => "not a frame",
    headers: {
      "content-type": "application/vnd.tidelog.frames",
      "tidelog-replica": "0192f0c1-2345-7abc-8def-0123456789ab",
    },
    status: 400,
    code: "invalid_frame",
  },
  {
    name: "more commits than a push takes",
    body: () => bodyWith({}, 1001),
    status: 413,
    code: "too_many_commits",
  },
  {
    name: "a body over the cap",
    body: () => bodyWith({ event: { data: { title: "x".repeat(9 * 2 ** 20) } } }),
    status: 413,
    code: "payload_too_large",
  },
  {
    name: "a log that is not there",
    path: "/v1/logs/nobodys/commits",
    body: () => bodyWith({}),
    status: 404,
    code: "unknown_log",
  },
  { name: "a negative cursor", path: `${COMMITS}?after=-1`, status: 400, code: "invalid_cursor" },
  {
    name: "a cursor that is no number",
    path: `${COMMITS}?after=last`,
    status: 400,
    code: "invalid_cursor",
  },
  {
    name: "a cursor past the head",
    path: `${COMMITS}?after=99`,
    status: 409,
    code: "cursor_ahead",
  },
];

for (const { name, path = COMMITS, body, headers = JSON_TYPE, status, code } of CASES) {
  test(`${name}: ${status} ${code}`, async ({ tide, request }) => {
    const url = tide.url(path);
    const answer = await (body === undefined
      ? request.get(url)
      : request.post(url, { headers, data: Buffer.from(body()) }));
    expect(await answer.json()).toMatchObject({
      type: expect.any(String),
      title: expect.any(String),
      detail: expect.stringMatching(/\S/),
      status,
      code,
    });
    expect(answer.status()).toBe(status);
    expect(answer.headers()["content-type"]).toMatch(/^application\/problem\+json/);
    expect(await eventsOf(tide, "todos")).toEqual([]);
  });
}

test("a commit without events is rejected by itself, and its neighbour is stored", async ({
  tide,
}) => {
  const writer = new RawWriter(tide, "todos");
  const empty = { ...writer.addTodo("Nothing"), events: [] };
  const good = writer.addTodo("Bread");
  expect((await writer.push([empty, good]))?.results).toMatchObject([
    { id: empty.id, verdict: "rejected", code: "invalid_commit" },
    { id: good.id, verdict: "accepted" },
  ]);
  expect(await eventsOf(tide, "todos")).toMatchObject([{ commitId: good.id, position: 1 }]);
});
