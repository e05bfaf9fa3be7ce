import type { Batch } from "../src/border.js";

/** A confirmed commit of the fake device. */
export interface Recorded {
  readonly id: string;
  readonly recordedAt: number;
  readonly occurredAt: number;
  readonly actor: string;
  readonly first: number;
  readonly events: {
    stream: string;
    type: string;
    schema: number;
    version: number;
    data: string;
  }[];
}

/** Commits as the columns that wasm hands over. */
export function toBatch(commits: readonly Recorded[]): Batch {
  const rows = commits.flatMap((commit, index) =>
    commit.events.map((event, i) => ({ ...event, commit: index, position: commit.first + i })),
  );
  const streams = [...new Set(rows.map((row) => row.stream))];
  const types = [...new Set(rows.map((row) => row.type))];
  return {
    firstPosition: commits[0]?.first ?? 0,
    count: rows.length,
    streams,
    types,
    commitIds: commits.map((commit) => commit.id),
    recordedAt: Float64Array.from(commits, (commit) => commit.recordedAt),
    actors: commits.map((commit) => commit.actor),
    stream: Uint32Array.from(rows, (row) => streams.indexOf(row.stream)),
    type: Uint32Array.from(rows, (row) => types.indexOf(row.type)),
    commit: Uint32Array.from(rows, (row) => row.commit),
    schema: Uint32Array.from(rows, (row) => row.schema),
    version: Float64Array.from(rows, (row) => row.version),
    position: Float64Array.from(rows, (row) => row.position),
    occurredAt: Float64Array.from(rows, (row) => commits[row.commit]?.occurredAt ?? 0),
    data: rows.map((row) => row.data).join(","),
  };
}
