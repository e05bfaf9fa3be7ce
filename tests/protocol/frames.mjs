// Reads frames of all formats, by what FRAMES.md says and nothing else: what a team needs that wants more than JSON.

import { LANES, laneReader } from "./frame-lanes.mjs";
import { dictionary, eventId, eventReader, optional, plain, Reader, uuid } from "./frame-parts.mjs";

const RECORDED = 1;

/** Splits frames that follow each other. */
export function split(bytes) {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(8, true);
    frames.push(bytes.subarray(at, at + length));
    at += length;
  }
  return frames;
}

/** One frame: its header, its commits and what it leaves out. Sequence numbers and times (in milliseconds) are of 64 bits. */
export function decode(bytes) {
  const header = headerOf(bytes);
  const sections = new Reader(bytes.subarray(header.format === 3 ? 88 : 80));
  const next = () => new Reader(sections.take(sections.varint()));
  const left = header.format === 3 ? gaps(next()) : [];
  const names = dictionary(next());
  const lanes = Array.from({ length: header.format === 1 ? 2 : LANES.length }, next);
  const payloads = next();
  sections.end();
  const reader =
    header.format === 1
      ? oneLaneReader(names, lanes, payloads, header)
      : laneReader(names, lanes, payloads);
  const commits = Array.from({ length: header.commits }, reader);
  for (const lane of [...lanes, payloads]) lane.end();
  const events = commits.reduce((sum, { events }) => sum + events.length, 0);
  if (events !== header.events) throw new Error("the header counts other events");
  if (!header.isRecorded) return { header, commits, gaps: [] };
  return { header, ...placed(header, commits, left) };
}

function headerOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (Buffer.from(bytes.subarray(0, 4)).toString() !== "TIDE") throw new Error("no frame");
  const checksum = crc32c(Buffer.concat([bytes.subarray(0, 12), bytes.subarray(16)]));
  if (checksum !== view.getUint32(12, true)) throw new Error("the bytes were changed");
  const header = {
    format: view.getUint8(4),
    isRecorded: (view.getUint8(5) & RECORDED) !== 0,
    length: view.getUint32(8, true),
    epoch: uuid(bytes.subarray(16, 32)),
    first: plain(view.getBigUint64(32, true)),
    commits: view.getUint32(40, true),
    events: view.getUint32(44, true),
    chainBefore: Buffer.from(bytes.subarray(48, 80)).toString("hex"),
  };
  if (![1, 2, 3].includes(header.format)) throw new Error("a format of later");
  if (header.format !== 1 && !header.isRecorded) throw new Error("a local frame has format 1");
  return header.format === 3 ? { ...header, leftOut: plain(view.getBigUint64(80, true)) } : header;
}

/** What format 3 leaves out, each by the number of commits before it. */
function gaps(section) {
  let before = 0;
  const gaps = Array.from({ length: section.varint() }, () => {
    before += section.varint();
    const [positions, reason] = [section.varint(), section.byte()];
    const chain = Buffer.from(section.take(32)).toString("hex");
    return { before, positions, reason: ["", "retention", "filter", "redaction"][reason], chain };
  });
  section.end();
  return gaps;
}

/** Commits and gaps, each with its positions. */
function placed(header, commits, left) {
  let next = header.first;
  const gaps = [];
  const place = (gap) => {
    const { positions, reason, chain } = gap;
    gaps.push({ from: next, to: next + positions - 1, reason, chain });
    next += positions;
  };
  const waiting = [...left];
  const recorded = commits.map((commit, number) => {
    while (waiting[0]?.before === number) place(waiting.shift());
    const position = next;
    next += commit.events.length;
    return { ...commit, position };
  });
  waiting.forEach(place);
  const leftOut = left.reduce((sum, { positions }) => sum + positions, 0);
  if (leftOut !== (header.leftOut ?? 0)) throw new Error("the header counts other gaps");
  return { commits: recorded, gaps };
}

/** Format 1: a lane of commits and one of events. */
function oneLaneReader(names, [lane, events], payloads, { isRecorded }) {
  const field = { stream: events, type: events, schema: events, occurredAt: events, tags: events };
  Object.assign(field, { references: events, length: events, digest: events });
  const event = eventReader(names, field, payloads);
  const context = { names, lane, seq: 0n, taken: 0n };
  return () => {
    const id = uuid(lane.take(16));
    const attempt = lane.varint();
    const replica = names.replicas[lane.varint()];
    context.seq = BigInt.asUintN(64, context.seq + lane.signed());
    const { seq } = context;
    const conditions = Array.from({ length: lane.varint() }, () => condition(lane, names));
    const count = lane.varint();
    const told = isRecorded ? recorded(context) : authored(lane, names);
    return {
      id,
      attempt,
      replica,
      seq,
      conditions,
      ...told,
      events: Array.from({ length: count }, event),
    };
  };
}

function condition(lane, { texts }) {
  const stream = texts[lane.varint()];
  const kind = lane.byte();
  if (kind < 3) return { stream, expected: ["any", "noStream", "exists"][kind] };
  const exact = lane.varint();
  if (kind === 3) return { stream, expected: { exact } };
  return { stream, expected: { exact, event: eventId(lane) } };
}

/** What only a local frame says: how its author resolves conflicts, and the command that made it. */
function authored(lane, { texts }) {
  const policy = ["rerun", "rebase", "ask", "merge"][lane.byte()];
  if (lane.byte() === 0) return { policy };
  const [stream, name] = [texts[lane.varint()], texts[lane.varint()]];
  const args = Buffer.from(lane.take(lane.varint())).toString();
  return { policy, command: { stream, name, args } };
}

/** What only a recorded frame says: what the server added. */
function recorded(context) {
  const { names, lane } = context;
  context.taken = BigInt.asIntN(64, context.taken + lane.signed());
  const recordedAt = context.taken;
  const actor = optional(lane, names);
  const versions = Array.from({ length: lane.varint() }, () => {
    const [stream, first, more] = [names.texts[lane.varint()], lane.long(), lane.long()];
    return { stream, first: plain(first), last: plain(first + more) };
  });
  return { recordedAt, ...(actor === undefined ? {} : { actor }), versions };
}

/** CRC-32C (Castagnoli, RFC 3720), bit by bit. */
export function crc32c(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
