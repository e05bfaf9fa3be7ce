/** Hooks over `subscribe` and `getSnapshot`. On a server they render the empty state. */
import { useSyncExternalStore } from "react";
import type { Projection, StateOf, StreamDefinition } from "./define.js";
import type { LogMembers } from "./log-types.js";
import type { Live, ParkedCommit, Row, RowQuery, Status, StorageInfo } from "./types.js";

const NO_ROWS: readonly never[] = [];

/** Live rows of a kind; `[]` while opening and on a server. Inline queries are fine; see `RowQuery.where` for functions. */
export function useRows<Def extends StreamDefinition>(
  log: LogMembers,
  definition: Def,
  query?: RowQuery<StateOf<Def>>,
): readonly Row<StateOf<Def>>[] {
  return useLive(log.rows(definition, query), NO_ROWS);
}

/** One live row, `undefined` while its stream does not exist. */
export function useRow<Def extends StreamDefinition>(
  log: LogMembers,
  definition: Def,
  key: string,
): Row<StateOf<Def>> | undefined {
  return useLive(log.row(definition, key), undefined);
}

/** The live value of a projection. */
export function useFold<Result>(log: LogMembers, projection: Projection<Result>): Result {
  return useLive(log.fold(projection), projection.initial);
}

/** Where the log stands. */
export function useStatus(log: LogMembers): Status {
  return useLive(log.status, log.status.getSnapshot());
}

/** What the log takes on this device. */
export function useStorage(log: LogMembers): StorageInfo {
  return useLive(log.storage, log.storage.getSnapshot());
}

/** Commits that wait for someone to resolve them. */
export function useParked(log: LogMembers): readonly ParkedCommit[] {
  return useLive(log.parked, NO_ROWS);
}

function useLive<T>(live: Live<T>, onServer: T): T {
  return useSyncExternalStore(live.subscribe, live.getSnapshot, () => onServer);
}
