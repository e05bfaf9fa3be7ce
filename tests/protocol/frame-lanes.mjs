// The commits of formats 2 and 3, by what FRAMES.md says and nothing else: a lane for each field.

import { eventId, eventReader, optional, plain, uuid } from "./frame-parts.mjs";

/** The lanes in their order; `none` holds nothing. */
export const LANES = [
  ..."idTime idRest recordedAt attempt replica seq".split(" "),
  ..."conditions onStream kind exact seen".split(" "),
  ..."events none actor written writes first more".split(" "),
  ..."stream type schema occurredAt tags references length digest".split(" "),
];

/** Reads commits one after the other, from their lanes. */
export function laneReader(names, lanes, payloads) {
  const lane = Object.fromEntries(lanes.map((lane, number) => [LANES[number], lane]));
  const event = eventReader(names, lane, payloads);
  const { texts } = names;
  /** The last version that a commit before names of a stream. */
  const named = new Map();
  /** The last event of a stream that stands before. */
  const newest = new Map();
  let [time, seq] = [0n, 0n];

  const condition = () => {
    const stream = texts[lane.onStream.varint()];
    const kind = lane.kind.byte();
    if (kind < 3) return { stream, expected: ["any", "noStream", "exists"][kind] };
    const exact = plain(BigInt.asUintN(64, (named.get(stream) ?? 0n) + lane.exact.signed()));
    if (kind === 3) return { stream, expected: { exact } };
    const event = kind === 4 ? eventId(lane.seen) : newest.get(stream);
    if (event === undefined) throw new Error(`no event of ${stream} stands before`);
    return { stream, expected: { exact, event } };
  };
  const versions = () => {
    const stream = texts[lane.writes.varint()];
    const follows = (named.get(stream) ?? 0n) + 1n;
    const first = BigInt.asUintN(64, follows + lane.first.signed());
    const last = first + lane.more.long();
    named.set(stream, last);
    return { stream, first: plain(first), last: plain(last) };
  };

  return () => {
    time += lane.idTime.signed();
    const id = uuid(Buffer.concat([sixBytes(time), lane.idRest.take(10)]));
    const recordedAt = BigInt.asIntN(64, time + lane.recordedAt.signed());
    const attempt = lane.attempt.varint();
    const replica = names.replicas[lane.replica.varint()];
    seq = BigInt.asUintN(64, seq + lane.seq.signed());
    const told = { id, attempt, replica, seq };
    const conditions = Array.from({ length: lane.conditions.varint() }, condition);
    const events = Array.from({ length: lane.events.varint() }, (_, index) => {
      const read = event();
      newest.set(read.stream, `${id}/${attempt}/${index}`);
      return read;
    });
    const actor = optional(lane.actor, names);
    const by = actor === undefined ? {} : { actor };
    const written = Array.from({ length: lane.written.varint() }, versions);
    return { ...told, conditions, recordedAt, ...by, versions: written, events };
  };
}

function sixBytes(time) {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(Number(time), 0, 6);
  return bytes;
}
