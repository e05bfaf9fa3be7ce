// The chain, by what PROTOCOL.md says of it and nothing else.

import { createHash } from "node:crypto";

const KINDS = ["any", "noStream", "exists"];

/** The hash after a recorded commit, from the one before it; both as hexadecimal digits. */
export function chainAfter(before, commit) {
  const fields = [text("tidelog chain 1"), hex(before), digest(commit)];
  fields.push(number(commit.position), number(commit.recordedAt), optional(commit.actor));
  fields.push(
    ...list(commit.versions, ({ stream, first, last }) => [
      text(stream),
      number(first),
      number(last),
    ]),
  );
  return sha256(fields).toString("hex");
}

/** The hash after all that a frame holds and leaves out. Calls `each` with every commit and its hash. */
export function chainAfterFrame({ header, commits, gaps }, each = () => undefined) {
  const places = [
    ...commits.map((commit) => ({ at: commit.position, commit })),
    ...gaps.map((gap) => ({ at: gap.from, gap })),
  ];
  places.sort((a, b) => a.at - b.at);
  return places.reduce((before, { commit, gap }) => {
    if (gap) return gap.chain;
    const after = chainAfter(before, commit);
    each(commit, after);
    return after;
  }, header.chainBefore);
}

/** What a commit's author wrote, as one hash. */
export function digest({ id, attempt, conditions, events }) {
  const fields = [text("tidelog commit 1"), uuid(id), number(attempt)];
  fields.push(...list(conditions, condition), ...list(events, event));
  return sha256(fields);
}

function condition({ stream, expected }) {
  if (typeof expected === "string") return [text(stream), Buffer.of(KINDS.indexOf(expected))];
  const exact = [text(stream), Buffer.of(3), number(expected.exact)];
  if (expected.event === undefined) return [...exact, Buffer.of(0)];
  const [id, attempt, index] = expected.event.split("/");
  return [...exact, Buffer.of(1), uuid(id), number(attempt), number(index)];
}

function event({ stream, type, schema, occurredAt, tags, meta, data, digest }) {
  return [
    text(stream),
    text(type),
    number(schema),
    number(occurredAt),
    ...list(tags, (tag) => [text(tag)]),
    ...[meta.correlationId, meta.causationId, meta.device].map(optional),
    digest ? hex(digest) : sha256([Buffer.from(data)]),
  ];
}

function sha256(fields) {
  const hash = createHash("sha256");
  for (const field of fields) hash.update(field);
  return hash.digest();
}

const hex = (digits) => Buffer.from(digits, "hex");
const uuid = (id) => hex(id.replaceAll("-", ""));
const list = (all, fields) => [number(all.length), ...all.flatMap(fields)];
const optional = (value) =>
  value === undefined ? Buffer.of(0) : Buffer.concat([Buffer.of(1), text(value)]);

function number(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
}

function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([number(bytes.length), bytes]);
}
