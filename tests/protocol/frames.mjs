// Reads frames of format 1, by what FRAMES.md says and nothing else: what a team needs that wants more than JSON.

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

/** One frame: its header and its commits. Sequence numbers and times (in milliseconds) are of 64 bits. */
export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (Buffer.from(bytes.subarray(0, 4)).toString() !== "TIDE") throw new Error("no frame");
  if (view.getUint8(4) !== 1) throw new Error("not of format 1");
  const checksum = crc32c([...bytes.subarray(0, 12), ...bytes.subarray(16)]);
  if (checksum !== view.getUint32(12, true)) throw new Error("the bytes were changed");
  const header = {
    isRecorded: (view.getUint8(5) & RECORDED) !== 0,
    length: view.getUint32(8, true),
    epoch: uuid(bytes.subarray(16, 32)),
    first: Number(view.getBigUint64(32, true)),
    commits: view.getUint32(40, true),
    events: view.getUint32(44, true),
    chainBefore: Buffer.from(bytes.subarray(48, 80)).toString("hex"),
  };
  const sections = new Reader(bytes.subarray(80));
  const [names, commits, events, payloads] = [0, 0, 0, 0].map(
    () => new Reader(sections.take(sections.varint())),
  );
  const context = {
    names: dictionary(names),
    commits,
    events,
    payloads,
    seq: 0n,
    at: 0n,
    taken: 0n,
  };
  return { header, commits: Array.from({ length: header.commits }, () => commit(context, header)) };
}

function dictionary(reader) {
  const list = (one) => Array.from({ length: reader.varint() }, one);
  const replicas = list(() => uuid(reader.take(16)));
  const texts = list(() => Buffer.from(reader.take(reader.varint())).toString());
  return { replicas, texts };
}

function commit(context, { isRecorded }) {
  const { names, commits: lane } = context;
  const id = uuid(lane.take(16));
  const attempt = lane.varint();
  const replica = names.replicas[lane.varint()];
  context.seq = BigInt.asUintN(64, context.seq + lane.signed());
  const { seq } = context;
  const conditions = Array.from({ length: lane.varint() }, () => condition(lane, names));
  const count = lane.varint();
  const told = isRecorded ? recorded(context) : authored(lane, names);
  const events = Array.from({ length: count }, () => event(context));
  return { id, attempt, replica, seq, conditions, ...told, events };
}

function condition(lane, { texts }) {
  const stream = texts[lane.varint()];
  const kind = lane.byte();
  if (kind < 3) return { stream, expected: ["any", "noStream", "exists"][kind] };
  const exact = lane.varint();
  if (kind === 3) return { stream, expected: { exact } };
  const event = [uuid(lane.take(16)), lane.varint(), lane.varint()].join("/");
  return { stream, expected: { exact, event } };
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
  const { names, commits: lane } = context;
  context.taken = BigInt.asIntN(64, context.taken + lane.signed());
  const recordedAt = context.taken;
  const actor = optional(lane, names);
  const versions = Array.from({ length: lane.varint() }, () => {
    const [stream, first, more] = [names.texts[lane.varint()], lane.varint(), lane.varint()];
    return { stream, first, last: first + more };
  });
  return { recordedAt, ...(actor === undefined ? {} : { actor }), versions };
}

function event(context) {
  const { names, events: lane, payloads } = context;
  const [stream, type] = [names.texts[lane.varint()], names.texts[lane.varint()]];
  const schema = lane.varint();
  context.at = BigInt.asIntN(64, context.at + lane.signed());
  const occurredAt = context.at;
  const tags = Array.from({ length: lane.varint() }, () => names.texts[lane.varint()]);
  const [correlationId, causationId, device] = [0, 0, 0].map(() => optional(lane, names));
  const length = lane.varint();
  const told = {
    stream,
    type,
    schema,
    occurredAt,
    tags,
    meta: { correlationId, causationId, device },
  };
  if (payloads.at > 0) payloads.take(1);
  if (length === 0) {
    payloads.take("null".length);
    return { ...told, digest: Buffer.from(lane.take(32)).toString("hex") };
  }
  return { ...told, data: Buffer.from(payloads.take(length - 1)).toString() };
}

function optional(lane, { texts }) {
  const number = lane.varint();
  return number === 0 ? undefined : texts[number - 1];
}

class Reader {
  at = 0;
  #bytes;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  byte() {
    return this.take(1)[0];
  }

  take(length) {
    const end = this.at + length;
    if (end > this.#bytes.length) throw new Error("it ends too early");
    const taken = this.#bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  /** LEB128. */
  long() {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  varint() {
    return Number(this.long());
  }

  /** Zigzag: 0, -1, 1, -2, … */
  signed() {
    const value = this.long();
    return value & 1n ? -(value + 1n) / 2n : value / 2n;
  }
}

function uuid(bytes) {
  const hex = Buffer.from(bytes).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
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
