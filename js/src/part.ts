/** The part of a log that is synced to this device: as the app says it, and as wasm does. */
import { tidelogError } from "./errors.js";
import { checkStreamId } from "./stream-id.js";
import type { SyncedPart } from "./types.js";

/** What `sync.only` may hold. */
interface Only {
  readonly kinds?: readonly string[] | undefined;
  readonly streams?: readonly string[] | undefined;
}

/** A line for each kind and stream. Throws `invalid_definition` for what the log does not declare. */
export function onlyToCore(only: Only | undefined, declared: object): string | undefined {
  if (only === undefined) return undefined;
  const { kinds = [], streams = [] } = only;
  if (!Array.isArray(kinds) || !Array.isArray(streams) || kinds.length + streams.length === 0) {
    throw wrong("it must name kinds or streams; leave it out to sync everything");
  }
  for (const kind of kinds) {
    if (!Object.hasOwn(declared, kind)) throw wrong(`no stream of kind ${kind} is declared`);
  }
  for (const stream of streams) {
    checkStreamId(stream);
    const kind = stream.slice(0, stream.indexOf("/"));
    if (!Object.hasOwn(declared, kind)) throw wrong(`no stream of kind ${kind} is declared`);
  }
  return [...kinds, ...streams].join("\n");
}

/** What wasm says; `undefined`: everything. */
export function coreToPart(lines: string | undefined): SyncedPart | undefined {
  if (!lines) return undefined;
  const names = lines.split("\n");
  return {
    kinds: names.filter((name) => !name.includes("/")),
    streams: names.filter((name) => name.includes("/")),
  };
}

export function samePart(a: SyncedPart | undefined, b: SyncedPart | undefined): boolean {
  return linesOf(a) === linesOf(b);
}

function linesOf(part: SyncedPart | undefined): string {
  return part ? [...part.kinds, ...part.streams].join("\n") : "";
}

function wrong(problem: string) {
  return tidelogError("invalid_definition", { subject: "the option sync.only", problem });
}
