// All that Tidelog asks of a backend: PROTOCOL.md without what a server may leave out. JSON only, one process, in memory. A
// reference for teams that keep their own server: a transaction of their database stands where `Log` changes its fields.

import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";

const ABOUT = { horizon: 1, caps: { waitSeconds: 30 }, features: [], minClient: 1 };
const like = (pattern) => (value) => typeof value === "string" && pattern.test(value);
const text = like(/^\P{Cc}+$/u);
const whole = like(/^(0|[1-9]\d*)$/);
const count = (value) => Number.isSafeInteger(value) && value >= 0;
const maybe = (is) => (value) => value === undefined || is(value);
const list = (is) => (value) => Array.isArray(value) && value.every(is);
/** An object with these fields and no others: `position` and its like are the server's to set. */
const object = (fields) => (value) =>
  Object.keys(value ?? {}).every((name) => Object.hasOwn(fields, name)) &&
  Object.entries(fields).every(([name, is]) => is(value?.[name]));
const uuid = like(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const stream = like(/^[A-Za-z0-9][\w.-]*\/\P{Cc}+$/u);
const exact = object({ exact: count, event: maybe(like(/^[0-9a-f-]{36}(\/\d+){2}$/)) });
const expected = (value) => ["any", "noStream", "exists"].includes(value) || exact(value);
const time = (value) => like(/T.+(Z|[+-]\d\d:\d\d)$/)(value) && !Number.isNaN(Date.parse(value));
const meta = object({ correlationId: maybe(text), causationId: maybe(text), device: maybe(text) });
const rest = { schema: maybe(count), tags: maybe(list(text)), meta, occurredAt: time };
const events = list(object({ stream, type: text, data: (value) => value !== undefined, ...rest }));
const conditions = maybe(list(object({ stream, expected })));
const commit = object({ id: uuid, attempt: maybe(count), seq: count, conditions, events });
const cursor = maybe(like(/^[0-9a-f-]{36}:\d+:[0-9a-f]{64}$/));
const push = object({ replica: uuid, cursor, commits: list(commit) });

class Problem extends Error {
  constructor(status, code, detail = code, more = {}) {
    super(code);
    this.body = { type: `urn:tidelog:problem:${code}`, title: code, status, code, detail, ...more };
  }
}

class Log extends EventEmitter {
  epoch = crypto.randomUUID();
  position = 0;
  commits = []; // as a pull gives them
  streams = new Map(); // stream → { version, last: the id of its newest event }
  accepted = new Map(); // commit id → { content, receipt }
  numbers = new Set(); // replica and seq of each commit

  /** The verdict on one commit. The order of the questions is the protocol's. */
  decide(replica, { id, seq, attempt = 1, conditions = [], events }) {
    const answer = (verdict, more) => ({ id, attempt, verdict, ...more });
    const reject = (code, message) => answer("rejected", { code, message });
    const content = JSON.stringify([conditions, events]);
    const known = this.accepted.get(id);
    if (known?.receipt.acceptedAttempt === attempt && known.content !== content)
      return reject("attempt_mismatch", "content never changes within an attempt");
    if (known) return answer("duplicate", known.receipt);
    if (this.numbers.has(`${replica}/${seq}`)) return reject("seq_reused", "mint a new replica id");
    const isZero = [attempt, events.length, ...events.map(({ schema }) => schema)].includes(0);
    const isTwice = new Set(conditions.map(({ stream }) => stream)).size < conditions.length;
    if (isZero || isTwice) return reject("invalid_commit", isZero ? "from 1" : "one per stream");
    const conflicts = conditions.flatMap(({ stream, expected }, checkIndex) => {
      const { version: actual, last } = this.streams.get(stream) ?? { version: 0 };
      const { exact, event } = expected;
      const named = { any: true, noStream: actual === 0, exists: actual > 0 }[expected];
      const holds = named ?? (exact === actual && [undefined, actual && last].includes(event));
      return holds ? [] : [{ checkIndex, stream, expected, actual }];
    });
    if (conflicts.length > 0) return answer("conflict", { conflicts });
    const recordedAt = new Date().toISOString();
    const versions = new Map();
    const recorded = events.map(({ stream, schema = 1, occurredAt, ...event }, index) => {
      const eventId = `${id}/${attempt}/${index}`;
      const version = (this.streams.get(stream)?.version ?? 0) + 1;
      this.streams.set(stream, { version, last: eventId });
      versions.set(stream, { first: version, ...versions.get(stream), stream, last: version });
      this.position += 1;
      const times = { occurredAt: new Date(occurredAt).toISOString(), recordedAt };
      return { id: eventId, stream, version, position: this.position, schema, ...event, ...times };
    });
    this.commits.push({ id, attempt, replica, seq, conditions, recordedAt, events: recorded });
    this.numbers.add(`${replica}/${seq}`);
    const positions = { first: recorded[0].position, last: this.position };
    const receipt = { acceptedAttempt: attempt, positions, versions: [...versions.values()] };
    this.accepted.set(id, { content, receipt });
    return answer("accepted", receipt);
  }

  /** The position that a cursor or a number names, if it is one of this history. */
  place(cursor) {
    const [, epoch, digits] = /^(?:([\da-f-]{36}):)?(0|[1-9]\d{0,14})(:.{64})?$/.exec(cursor) ?? [];
    if (!digits) throw new Problem(400, "invalid_cursor", "a position, or epoch:position:chain");
    const here = { epoch: this.epoch, head: { position: this.position } };
    const isOther = epoch && epoch !== this.epoch && Number(digits) > 0;
    if (isOther) throw new Problem(409, "cursor_mismatch", "another history", here);
    if (Number(digits) > this.position) throw new Problem(409, "cursor_ahead", "not so far", here);
    return Number(digits);
  }
}

async function pushOf(request) {
  const { "content-type": is, "content-encoding": zip } = request.headers;
  if (zip || !is?.startsWith("application/json")) throw new Problem(415, "unsupported_media_type");
  const value = JSON.parse(Buffer.concat(await request.toArray()));
  if (push(value)) return value;
  throw new Problem(400, "bad_request", "it is not a push of this protocol");
}

async function answer(logs, request) {
  const url = new URL(request.url, "http://localhost");
  const [, name, call] = /^\/v1\/logs\/([^/]+)(\/commits)?$/.exec(url.pathname) ?? [];
  if (!name) throw new Problem(404, "not_found");
  if (request.headers["tidelog-client"] < ABOUT.minClient) throw new Problem(426, "client_too_old");
  const log = logs.get(name);
  if (!log) throw new Problem(404, "unknown_log");
  if (call && request.method === "POST") {
    const { replica, cursor = "0", commits } = await pushOf(request);
    log.place(cursor);
    const results = commits.map((commit) => log.decide(replica, commit));
    log.emit("news");
    return [log, { results }];
  }
  if (request.method !== "GET") throw new Problem(405, "method_not_allowed");
  if (!call) return [log, { log: name, ...ABOUT }];
  const { after = "0", limit = "1000", wait = "0" } = Object.fromEntries(url.searchParams);
  const isTwice = /[?&](after|limit|wait)=.*&\1=/.test(url.search);
  if (isTwice || !(whole(limit) && limit > 0 && whole(wait))) throw new Problem(400, "bad_request");
  const signal = AbortSignal.timeout(Math.min(wait, ABOUT.caps.waitSeconds) * 1000);
  const position = log.place(after);
  if (position === log.position) await once(log, "news", { signal }).catch(() => undefined);
  const end = position + Number(limit);
  const isAsked = ({ events: [first] }) => first.position > position && first.position <= end;
  return [log, { commits: log.commits.filter(isAsked) }];
}

/** A server, not listening yet, with these logs. */
export function backend(names) {
  const logs = new Map(names.map((name) => [name, new Log().setMaxListeners(0)]));
  return createServer(async (request, response) => {
    const say = (status, type, body) =>
      response.writeHead(status, { "content-type": type }).end(JSON.stringify(body));
    try {
      const [{ epoch, position }, body] = await answer(logs, request);
      response.setHeader("tidelog-epoch", epoch).setHeader("tidelog-head", position);
      say(200, "application/json", { epoch, head: { position }, ...body });
    } catch (error) {
      const problem = error instanceof SyntaxError ? new Problem(400, "bad_request") : error;
      const { body } = problem instanceof Problem ? problem : new Problem(500, "internal");
      say(body.status, "application/problem+json", body);
    }
  });
}
