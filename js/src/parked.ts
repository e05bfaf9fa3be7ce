/** Parked commits: what is shown of them and how they are resolved. */
import { parkedEventToEvent } from "./batch.js";
import type { LogCore, ParkedInfo } from "./border.js";
import type { Commands } from "./commands.js";
import type { Engine } from "./engine.js";
import { coreErrorToTidelogError, fromCore, tidelogError } from "./errors.js";
import type { Parked, ParkedSides } from "./log-types.js";
import type { ParkedCommit, Reason, Receipt } from "./types.js";

/** A parked commit as the app sees it. */
export function parkedInfoToParked(info: ParkedInfo): ParkedCommit {
  const { id, occurredAt, reason, command } = info;
  return {
    id,
    occurredAt,
    reason,
    mine: info.mine.map(parkedEventToEvent),
    theirs: info.theirs.map(parkedEventToEvent),
    ...(command === undefined ? {} : { command: { ...command, args: JSON.parse(command.args) } }),
  };
}

/** Why a commit is parked, for its receipt. */
export function parkedInfoToReason({ reason }: ParkedInfo): Reason {
  const { code, cause, message, conflicts } = reason;
  return { code: cause ?? code, message, ...conflicts[0] };
}

/** The parked commits of a log with the ways to resolve one. */
export function parkedOf(engine: Engine, commands: Commands): Parked {
  const resolve = (id: string, how: (core: LogCore) => Promise<void>): Receipt => {
    const core = engine.current();
    const receipt = engine.receipts.of(id);
    how(core).catch((thrown: unknown) => engine.receipts.fail(id, coreErrorToTidelogError(thrown)));
    engine.show();
    return receipt;
  };
  return {
    subscribe: engine.parked.subscribe,
    getSnapshot: engine.parked.getSnapshot,
    retry: (id) => resolve(id, (core) => core.retry(id)),
    rebase: (id) => resolve(id, (core) => core.rebase(id)),
    replace: (id, events) => {
      const drafts = commands.drafts(events);
      const replacement = { events: drafts, occurredAt: Date.now() };
      return resolve(id, (core) => core.replace(id, replacement));
    },
    sides: async (id) => {
      const core = await engine.opened();
      const commit = engine.parked.getSnapshot().find((parked) => parked.id === id);
      if (commit === undefined) throw tidelogError("not_parked", { id });
      const { mine, theirs } = commit;
      const streams = new Set(mine.map(({ stream }) => stream));
      const sides: ParkedSides[] = [];
      for (const stream of streams) {
        const others = theirs.filter((event) => event.stream === stream);
        if (others.length === 0) continue;
        const from = Math.min(...others.map(({ version }) => version));
        const events = mine.filter((event) => event.stream === stream);
        sides.push({
          stream,
          ...(await engine.deciding.sides(core, { id, stream, from, events })),
        });
      }
      return sides;
    },
    discard: async (id) => {
      const core = engine.current();
      await fromCore(core.discard(id));
      engine.show();
      await gone(engine, id);
    },
  };
}

/** Resolves when the commit is not parked any more; rejects if the log stops before. */
function gone(engine: Engine, id: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const { phase, error } = engine.status.getSnapshot();
      const stopped = phase === "closed" || phase === "error";
      if (!stopped && engine.parked.getSnapshot().some((commit) => commit.id === id)) return;
      for (const end of ends) end();
      if (stopped) reject(error ?? engine.closedError());
      else resolve();
    };
    const ends = [engine.parked.subscribe(look), engine.status.subscribe(look)];
    look();
  });
}
