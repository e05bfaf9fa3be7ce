// What all formats of frames are made of, by what FRAMES.md says and nothing else: numbers, names, and events.

export class Reader {
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
    return plain(this.long());
  }

  /** Zigzag: 0, -1, 1, -2, … */
  signed() {
    const value = this.long();
    return value & 1n ? -(value + 1n) / 2n : value / 2n;
  }

  /** Nothing may be left. */
  end() {
    if (this.at !== this.#bytes.length) throw new Error("something is left over");
  }
}

/** A number, where it is one that a number can say. */
export function plain(value) {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

export function uuid(bytes) {
  const hex = Buffer.from(bytes).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export function dictionary(reader) {
  const list = (one) => Array.from({ length: reader.varint() }, one);
  const replicas = list(() => uuid(reader.take(16)));
  const texts = list(() => Buffer.from(reader.take(reader.varint())).toString());
  reader.end();
  return { replicas, texts };
}

export function optional(lane, { texts }) {
  const number = lane.varint();
  return number === 0 ? undefined : texts[number - 1];
}

/** The id of an event that a condition names. */
export function eventId(lane) {
  return [uuid(lane.take(16)), lane.varint(), lane.varint()].join("/");
}

/** Reads events one after the other: each field from its lane, which is one for all in format 1. */
export function eventReader(names, lanes, payloads) {
  let at = 0n;
  return () => {
    const { texts } = names;
    const [stream, type] = [texts[lanes.stream.varint()], texts[lanes.type.varint()]];
    const schema = lanes.schema.varint();
    at = BigInt.asIntN(64, at + lanes.occurredAt.signed());
    const occurredAt = at;
    const tags = Array.from({ length: lanes.tags.varint() }, () => texts[lanes.tags.varint()]);
    const [correlationId, causationId, device] = [0, 0, 0].map(() =>
      optional(lanes.references, names),
    );
    const meta = { correlationId, causationId, device };
    const told = { stream, type, schema, occurredAt, tags, meta };
    const length = lanes.length.varint();
    if (payloads.at > 0) expect(payloads, ",");
    if (length === 0) {
      expect(payloads, "null");
      return { ...told, digest: Buffer.from(lanes.digest.take(32)).toString("hex") };
    }
    return { ...told, data: Buffer.from(payloads.take(length - 1)).toString() };
  };
}

function expect(payloads, text) {
  const found = Buffer.from(payloads.take(text.length)).toString();
  if (found !== text) throw new Error(`${found} stands where ${text} should`);
}
