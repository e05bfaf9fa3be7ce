import type { Batch, EventExtras } from "../src/border.js";
import type { EventMeta } from "../src/types.js";

/** A confirmed commit of the fake device. */
export interface Recorded {
  readonly id: string;
  readonly recordedAt: number;
  readonly occurredAt: number;
  readonly actor: string | undefined;
  readonly first: number;
  readonly events: {
    stream: string;
    type: string;
    schema: number;
    version: number;
    data: string;
    tags?: readonly string[];
    meta?: EventMeta;
    occurredAt?: number;
    erased?: string;
  }[];
}

/** Commits as the columns that wasm hands over. The first `skip` events are said to be folded already. */
export function toBatch(commits: readonly Recorded[], skip = 0): Batch {
  const rows = commits.flatMap((commit) => commit.events.map((event) => ({ ...event, commit })));
  const names = [
    ...new Set([
      ...rows.flatMap((row) => [row.stream, row.type]),
      ...commits.flatMap(({ actor }) => actor ?? []),
    ]),
  ];
  const extras: EventExtras[] = rows.flatMap(({ tags, meta }, event) =>
    tags || meta ? [{ event, ...(tags && { tags }), ...(meta && { meta }) }] : [],
  );
  const erased = rows.flatMap((row, event) => (row.erased ? [event] : []));
  let end = 0;
  return {
    firstPosition: commits[0]?.first ?? 0,
    count: rows.length,
    skip,
    names: names.join("\n"),
    commitIds: commits.map((commit) => commit.id.padEnd(36, ".").slice(0, 36)).join(""),
    commitEnd: Uint32Array.from(commits, ({ events }) => {
      end += events.length;
      return end;
    }),
    recordedAt: Float64Array.from(commits, (commit) => commit.recordedAt),
    actor: Uint32Array.from(commits, ({ actor }) => (actor ? names.indexOf(actor) + 1 : 0)),
    stream: Uint32Array.from(rows, (row) => names.indexOf(row.stream)),
    type: Uint32Array.from(rows, (row) => names.indexOf(row.type)),
    schema: Uint32Array.from(rows, (row) => row.schema),
    version: Float64Array.from(rows, (row) => row.version),
    occurredAt: Float64Array.from(rows, (row) => row.occurredAt ?? row.commit.occurredAt),
    ...toPayloads(rows.map((row) => (row.erased ? "null" : row.data))),
    ...(erased.length > 0
      ? {
          erased: Uint32Array.from(erased),
          digests: rows.map((row) => row.erased ?? "").join(""),
        }
      : {}),
    ...(extras.length > 0 ? { extras } : {}),
  };
}

function toPayloads(texts: readonly string[]): Pick<Batch, "payloads" | "payloadAt"> {
  const utf8 = new TextEncoder();
  let next = 0;
  const payloadAt = Uint32Array.from(texts, (text) => {
    const at = next;
    next += utf8.encode(text).length + 1;
    return at;
  });
  return { payloads: utf8.encode(texts.join(",")), payloadAt };
}

/** Only the events of one stream, with their positions. */
export function toStreamBatch(commits: readonly Recorded[], stream: string): Batch {
  const positions = commits.flatMap((commit) =>
    commit.events.flatMap((event, i) => (event.stream === stream ? [commit.first + i] : [])),
  );
  const only = commits.map((commit) => ({
    ...commit,
    events: commit.events.filter((event) => event.stream === stream),
  }));
  return { ...toBatch(only), positions: Float64Array.from(positions) };
}
