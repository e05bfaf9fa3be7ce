/** Parked commits: what is shown of them and how they are resolved. */
import { batchesToEvents, coreEventToEvent } from "./batch.js";
import type { LogCore, ParkedInfo } from "./border.js";
import type { Engine } from "./engine.js";
import { coreErrorToTidelogError } from "./errors.js";
import type { Parked } from "./log-types.js";
import type { ParkedCommit, Reason, Receipt, RecordedEvent } from "./types.js";

/** A parked commit as the app sees it, with the events it collided with. */
export async function parkedInfoToParked(core: LogCore, info: ParkedInfo): Promise<ParkedCommit> {
  const { commit, code, cause, message, conflicts } = info;
  const theirs: RecordedEvent[] = [];
  for (const { stream, from, to } of info.theirs) {
    const events = batchesToEvents(await core.history(stream));
    theirs.push(...events.filter(({ version }) => version >= from && version <= to));
  }
  const { command } = commit;
  return {
    id: commit.id,
    occurredAt: commit.occurredAt,
    reason: { code, message, conflicts, ...(cause === undefined ? {} : { cause }) },
    mine: commit.events.map((event) => coreEventToEvent(event, commit)),
    theirs,
    ...(command === undefined ? {} : { command: { ...command, args: JSON.parse(command.args) } }),
  };
}

/** Why a commit is parked, for its receipt. */
export function parkedInfoToReason({ code, cause, message, conflicts }: ParkedInfo): Reason {
  return { code: cause ?? code, message, ...conflicts[0] };
}

/** The parked commits of a log with the ways to resolve one. */
export function parkedOf(engine: Engine): Parked {
  const resolve = (id: string, how: (core: LogCore) => void): Receipt => {
    const core = engine.current();
    call(() => how(core));
    const receipt = engine.receipts.of(id);
    engine.show();
    return receipt;
  };
  return {
    subscribe: engine.parked.subscribe,
    getSnapshot: engine.parked.getSnapshot,
    retry: (id) => resolve(id, (core) => core.retry(id)),
    rebase: (id) => resolve(id, (core) => core.rebase(id)),
    discard: async (id) => {
      const core = engine.current();
      call(() => core.discard(id));
      engine.show();
      await gone(engine, id);
    },
  };
}

/** Throws `not_parked`. */
function call(run: () => void): void {
  try {
    run();
  } catch (thrown) {
    throw coreErrorToTidelogError(thrown);
  }
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
