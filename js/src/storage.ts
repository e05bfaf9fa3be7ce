/** What this device holds of a log, and keeping it. */
import type { LogCore } from "./border.js";
import type { Engine } from "./engine.js";
import { tidelogError } from "./errors.js";
import { Cell } from "./live.js";
import type { LogStorage } from "./log-types.js";
import { coreToPart } from "./part.js";
import type { StorageInfo } from "./types.js";

/** Before the log was looked at. */
const NOTHING: StorageInfo = {
  events: 0,
  oldest: 0,
  bytes: 0,
  frames: 0,
  segments: 0,
  gaps: [],
  leftOut: 0,
  quarantined: 0,
  lost: 0,
};

/** Looking costs a read of the directory, so changes are waited for this long. */
const MILLIS_BETWEEN = 1000;

/** See `LogMembers.storage`. */
export function storageOf(engine: Engine): LogStorage {
  const cell = new Cell(NOTHING, () => {
    engine.use();
    if (cell.getSnapshot() === NOTHING) later(0);
  });
  let turn = 0;
  const refresh = async (): Promise<StorageInfo> => {
    const mine = ++turn;
    const core = await engine.opened();
    const { only, ...said } = await engine.asked(core.storage());
    const part = coreToPart(only);
    const info: StorageInfo = part ? { ...said, only: part } : said;
    // A later look knows more.
    if (mine === turn) {
      cell.set(info);
      cell.tell();
    }
    return info;
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const later = (millis: number): void => {
    if (!cell.watched || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      // What cannot be read now is read after the next change; `status` says what is wrong.
      refresh().catch(() => undefined);
    }, millis);
  };
  engine.onConfirmed.add(() => later(MILLIS_BETWEEN));
  return {
    subscribe: cell.subscribe,
    getSnapshot: cell.getSnapshot,
    refresh,
    persist: async () => {
      const granted = await engine.asked((await engine.opened()).persist());
      later(0);
      return granted;
    },
    compact: async () => {
      await engine.asked((await engine.opened()).compact());
      await refresh();
    },
    snapshot: async () => {
      await engine.opened();
      const saved = await engine.saver.now();
      later(0);
      return saved;
    },
  };
}

/** Asks for persistence where that is quiet. A refusal is the browser's affair. */
export async function persistQuietly(core: LogCore): Promise<void> {
  if (await asksNobody()) await core.persist();
}

/**
 * Does `persist()` decide without asking the user? Chromium (which alone has `userAgentData`) goes by how much
 * the site is used, Safari as well; it knows no such permission. Firefox prompts unless it was granted.
 */
async function asksNobody(): Promise<boolean> {
  if (typeof navigator === "undefined" || navigator.storage?.persist === undefined) return false;
  if (await navigator.storage.persisted()) return false;
  if ("userAgentData" in navigator) return true;
  try {
    const { state } = await navigator.permissions.query({ name: "persistent-storage" });
    return state === "granted";
  } catch {
    return true;
  }
}

/** Checks `retain`. Throws `invalid_definition`. */
export function retainToCore(
  retain: unknown,
  synced: boolean,
): { readonly newest: number } | { readonly since: number } | undefined {
  if (retain === undefined || retain === "all") return undefined;
  const wrong = (problem: string) =>
    tidelogError("invalid_definition", { subject: "the option retain", problem });
  const { newest, since } = retain as { readonly newest?: unknown; readonly since?: unknown };
  if (!synced) throw wrong("without sync nobody else holds what would be left out");
  if (Number.isSafeInteger(newest) && (newest as number) >= 0) return { newest: newest as number };
  if (since instanceof Date && !Number.isNaN(since.getTime())) return { since: since.getTime() };
  throw wrong('it must be "all", { newest: a number of events } or { since: a Date }');
}
