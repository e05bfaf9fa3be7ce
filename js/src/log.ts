/**
 * `createLog`: synchronous and safe on a server. The database opens at the first subscription, command or
 * `ready()`.
 */
import type { CoreFactory } from "./border.js";
import { Commands } from "./commands.js";
import type { Projection, StreamDefinition } from "./define.js";
import { Engine } from "./engine.js";
import { coreErrorToTidelogError, tidelogError } from "./errors.js";
import { exportLog } from "./export.js";
import { handlesOf } from "./handle.js";
import { importLog } from "./import.js";
import { wasmCore } from "./loader.js";
import type { Log, LogMembers, LogOptions, Streams } from "./log-types.js";
import { lostEvents } from "./lost.js";
import { parkedOf } from "./parked.js";
import { onlyToCore } from "./part.js";
import { viewAt } from "./past.js";
import { collect, readLog, readStream } from "./reading.js";
import { rebuild, verify } from "./rebuild.js";
import type { Rows } from "./rows.js";
import { persistQuietly, retainToCore, storageOf } from "./storage.js";
import { streamOf } from "./stream-id.js";
import type { Live, Receipt } from "./types.js";
import { undoCommit } from "./undo.js";

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
  // What `sync.only` may name depends on the kinds, which is of no account here.
  checkOptions(options as unknown as LogOptions<Streams>);
  const retain = retainToCore(options.retain, sync !== undefined);
  const only = onlyToCore(sync?.only, streams);
  const engine = new Engine(
    {
      log: name,
      user,
      durability,
      streams,
      snapshots: options.snapshots ?? true,
      ...(retain ? { retain } : {}),
      ...(sync ? { url: sync.url } : {}),
      ...(only === undefined ? {} : { only }),
      ...(sync?.takeOverAfter ? { takeOverAfter: sync.takeOverAfter } : {}),
      ...(sync?.token ? { token: async (refresh: boolean) => sync.token?.({ refresh }) } : {}),
    },
    makeCore,
  );
  const commands = new Commands(engine);
  if (options.persist !== "manual") {
    engine.onStored = (core) => {
      // Whether it was granted shows in `log.storage`.
      persistQuietly(core).catch(() => undefined);
    };
  }
  const rowsOf = ({ kind }: StreamDefinition): Rows => {
    const rows = engine.mirror.rows(kind);
    if (rows === undefined) throw tidelogError("unknown_stream_kind", { kind });
    return rows;
  };
  const members = {
    name,
    user,
    status: { subscribe: engine.status.subscribe, getSnapshot: engine.status.getSnapshot },
    parked: parkedOf(engine, commands),
    ready: () => engine.ready(),
    syncNow: () => engine.syncNow(),
    rows: (definition: StreamDefinition, query?: object) => rowsOf(definition).query(query),
    row: (definition: StreamDefinition, key: string) => rowsOf(definition).row(key),
    fold: <Result>(projection: Projection<Result>) =>
      engine.fold(projection as unknown as Projection<unknown>)
        .live as Live<unknown> as Live<Result>,
    append: commands.append.bind(commands),
    history: async (definition, key, order) =>
      collect(readStream(engine, streamOf(definition.kind, key), order)),
    read: (read) => readLog(engine, read),
    readStream: (definition, key, read) => readStream(engine, streamOf(definition.kind, key), read),
    storage: storageOf(engine),
    export: (how) => exportLog(engine, how),
    import: (source, how) => importLog(engine, source, how),
    rebuild: (what, how) => rebuild(engine, what as Projection<unknown>, how),
    verify: (how) => verify(engine, how),
    lost: () => lostEvents(engine),
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
  const { name, streams, durability, persist } = options;
  if (typeof name !== "string" || name === "") throw wrong(String(name), "name must be a string");
  for (const [property, definition] of Object.entries(streams)) {
    if (definition.kind !== property) {
      throw wrong(name, `streams.${property} is of kind ${definition.kind}; both must be equal`);
    }
  }
  if (durability !== undefined && durability !== "strict" && durability !== "relaxed") {
    throw wrong(name, 'durability must be "strict" or "relaxed"');
  }
  const { takeOverAfter = 1 } = options.sync ?? {};
  if (!Number.isSafeInteger(takeOverAfter) || takeOverAfter < 1 || takeOverAfter > 2 ** 31 - 1) {
    throw wrong(name, "sync.takeOverAfter must be a number of milliseconds");
  }
  if (persist !== undefined && persist !== "auto" && persist !== "manual") {
    throw wrong(name, 'persist must be "auto" or "manual"');
  }
}

function wrong(name: string, problem: string) {
  return tidelogError("invalid_definition", { subject: `log ${JSON.stringify(name)}`, problem });
}
