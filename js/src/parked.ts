/** Parked commits: what is shown of them and how they are resolved. */
import { coreEventToEvent } from "./batch.js";
import type { LogCore, ParkedInfo } from "./border.js";
import type { Engine } from "./engine.js";
import { coreErrorToTidelogError } from "./errors.js";
import type { Parked } from "./log-types.js";
import type { ParkedCommit, Receipt } from "./types.js";

/** A parked commit as the app sees it. */
export function parkedInfoToParked(info: ParkedInfo): ParkedCommit {
  const { id, occurredAt, reason, command } = info;
  return {
    id,
    occurredAt,
    reason,
    mine: info.mine.map((event) => coreEventToEvent(event, info)),
    theirs: info.theirs.map((event) => coreEventToEvent(event, info)),
    ...(command === undefined ? {} : { command: { ...command, args: JSON.parse(command.args) } }),
  };
}

/** The parked commits of a log with the ways to resolve one. */
export function parkedOf(engine: Engine): Parked {
  const resolve = (id: string, how: (core: LogCore) => Promise<void>): Receipt => {
    const core = engine.current();
    const receipt = engine.receipts.of(id);
    how(core).then(
      () => engine.show(),
      (thrown: unknown) => engine.receipts.fail(id, coreErrorToTidelogError(thrown)),
    );
    return receipt;
  };
  return {
    subscribe: engine.parked.subscribe,
    getSnapshot: engine.parked.getSnapshot,
    retry: (id) => resolve(id, (core) => core.retry(id)),
    rebase: (id) => resolve(id, (core) => core.rebase(id)),
    discard: async (id) => {
      try {
        await engine.current().discard(id);
      } catch (thrown) {
        throw coreErrorToTidelogError(thrown);
      }
      engine.show();
    },
  };
}
