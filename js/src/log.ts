/**
 * `createLog`: synchronous and safe on a server. The database opens at the first subscription, command or
 * `ready()`.
 */
import type { CoreFactory } from "./border.js";
import { Commands, streamOf } from "./commands.js";
import type { Projection, StreamDefinition } from "./define.js";
import { Engine } from "./engine.js";
import { coreErrorToTidelogError, tidelogError } from "./errors.js";
import { handlesOf } from "./handle.js";
import { historyOf, undoCommit } from "./history.js";
import { wasmCore } from "./loader.js";
import type { Log, LogMembers, LogOptions, Streams } from "./log-types.js";
import { parkedOf } from "./parked.js";
import type { Fold } from "./projections.js";
import { liveFold, viewAt } from "./replay.js";
import type { Rows } from "./rows.js";
import type { Receipt } from "./types.js";

/** Makes a log. Throws `invalid_definition`. */
export function createLog<const Defs extends Streams>(options: LogOptions<Defs>): Log<Defs> {
  return createLogWith(options, wasmCore(options.wasm));
}

/** A log over any core: tests bring their own. */
export function createLogWith<const Defs extends Streams>(
  options: LogOptions<Defs>,
  makeCore: CoreFactory,
): Log<Defs> {
  const { name, user = "anonymous", streams, sync, durability = "strict" } = options;
  checkOptions(options);
  const engine = new Engine(
    {
      log: name,
      user,
      durability,
      streams,
      ...(sync ? { url: sync.url } : {}),
      ...(sync?.token ? { token: async () => sync.token?.() } : {}),
    },
    makeCore,
  );
  const commands = new Commands(engine);
  const lateFolds = new Map<Projection<unknown>, Fold>();
  const rowsOf = ({ kind }: StreamDefinition): Rows => {
    const rows = engine.mirror.rows(kind);
    if (rows === undefined) throw tidelogError("unknown_stream_kind", { kind });
    return rows;
  };
  const members = {
    name,
    user,
    status: { subscribe: engine.status.subscribe, getSnapshot: engine.status.getSnapshot },
    parked: parkedOf(engine),
    ready: () => engine.ready(),
    rows: (definition: StreamDefinition, query?: object) => rowsOf(definition).query(query),
    row: (definition: StreamDefinition, key: string) => rowsOf(definition).row(key),
    fold: <Result>(projection: Projection<Result>) => liveFold(engine, lateFolds, projection),
    append: commands.append.bind(commands),
    history: async (definition, key, order) =>
      historyOf(engine, streamOf(definition.kind, key), order),
    at: (point) => viewAt(engine, streams, point),
    undo: (commitId) => undoCommit(engine, commands, commitId),
    receipt: (commitId) => receiptOf(engine, commitId),
    close: () => engine.close(),
  } as LogMembers;
  const handles = Object.entries(streams).map(([kind, definition]) => {
    if (Object.hasOwn(members, kind)) {
      throw wrong(name, `a kind cannot be called ${kind}, which is a member of the log`);
    }
    return [kind, handlesOf(definition, engine, commands)] as const;
  });
  return Object.assign(members, Object.fromEntries(handles)) as unknown as Log<Defs>;
}

function receiptOf(engine: Engine, id: string): Receipt {
  const asked = !engine.receipts.has(id);
  const receipt = engine.receipts.of(id);
  if (asked) {
    ask(engine, id).catch((thrown: unknown) =>
      engine.receipts.fail(id, coreErrorToTidelogError(thrown)),
    );
  }
  return receipt;
}

async function ask(engine: Engine, id: string): Promise<void> {
  const core = await engine.opened();
  const outcome = await core.outcome(id);
  engine.receipts.handleOutcome(id, outcome);
  if (outcome.state === "parked") await engine.settleParked(core, id);
}

function checkOptions(options: LogOptions<Streams>): void {
  const { name, streams, durability } = options;
  if (typeof name !== "string" || name === "") throw wrong(String(name), "name must be a string");
  for (const [property, definition] of Object.entries(streams)) {
    if (definition.kind !== property) {
      throw wrong(name, `streams.${property} is of kind ${definition.kind}; both must be equal`);
    }
  }
  if (durability !== undefined && durability !== "strict" && durability !== "relaxed") {
    throw wrong(name, 'durability must be "strict" or "relaxed"');
  }
}

function wrong(name: string, problem: string) {
  return tidelogError("invalid_definition", { subject: `log ${JSON.stringify(name)}`, problem });
}
