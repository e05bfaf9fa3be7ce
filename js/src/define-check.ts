/** Turns the options of a definition into the definition, refusing what is wrong. */
import type {
  AnyCommand,
  Emitted,
  EventDefinition,
  Projection,
  StepFunction,
  StreamDefinition,
  UncheckedStream,
} from "./define.js";
import { tidelogError } from "./errors.js";
import { isReserved } from "./fold.js";
import type { StandardSchemaV1 } from "./schema.js";
import type { EventInfo, NamedEvent, Policy } from "./types.js";

const POLICIES: readonly unknown[] = ["rerun", "rebase", "merge", "ask"];
const POLICY = '"rerun", "rebase", "merge" or "ask"';
/** Members of a stream handle that a command cannot be called. */
const HANDLE_MEMBERS = [
  "key",
  "stream",
  "state",
  "version",
  "seen",
  "history",
  "read",
  "append",
  "then",
];

type Fields = Readonly<Record<string, unknown>>;

/** Checks the options of `stream`. */
export function checkStream(kind: string, options: UncheckedStream): StreamDefinition {
  const subject = `stream ${JSON.stringify(kind)}`;
  const wrong = wrongOf(subject);
  if (!/^[\w.-]+$/.test(kind)) wrong("the kind must be letters, digits, '.', '_' or '-'");
  const version = checkVersion(options.version, "version", wrong);
  const prefix = options.prefix ?? `${kind}.`;
  if (typeof prefix !== "string") wrong("prefix must be a string");
  if (isReserved(prefix as string))
    wrong("event types that begin with 'tidelog.' are a server's own");
  if (!("initial" in options)) wrong("initial is missing");
  const events = checkEvents(options.events, prefix as string, wrong);
  const stepOf = checkEvolve(options.evolve, events, wrong);
  const commands = checkCommands(options.commands, events, wrong);
  const policyOf = checkPolicy(options.policy, commands, wrong);
  const merge = checkMerge(options.merge, events, wrong);
  const merging = Object.keys(commands).find((name) => policyOf(name) === "merge");
  if (merge === undefined && merging !== undefined)
    wrong(`merge is missing, and the policy of ${merging} is "merge"`);
  return {
    kind,
    version,
    initial: options.initial,
    events,
    prefix: prefix as string,
    open: typeof options.evolve === "function",
    stepOf,
    commands,
    policyOf,
    merge,
  };
}

/** Checks the options of `projection`. */
export function checkProjection<Result>(options: Projection<Result>): Projection<Result> {
  const wrong = wrongOf(`projection ${JSON.stringify(options.name)}`);
  if (typeof options.name !== "string" || options.name === "") wrong("name must be a string");
  checkVersion(options.version, "version", wrong);
  if (!("initial" in options)) wrong("initial is missing");
  if (typeof options.evolve !== "function") wrong("evolve must be a function");
  return options;
}

type Wrong = (problem: string) => never;

function wrongOf(subject: string): Wrong {
  return (problem) => {
    throw tidelogError("invalid_definition", { subject, problem });
  };
}

function checkVersion(version: unknown, what: string, wrong: Wrong): number {
  if (version === undefined) return 1;
  if (!Number.isInteger(version) || (version as number) < 1)
    wrong(`${what} must be an integer from 1`);
  return version as number;
}

function checkEvents(events: unknown, prefix: string, wrong: Wrong): Map<string, EventDefinition> {
  if (!isObject(events)) return wrong("events must be an object");
  const byType = new Map<string, EventDefinition>();
  for (const [name, given] of Object.entries(events)) {
    const type = prefix + name;
    if (isSchema(given)) {
      byType.set(type, { name, type, schema: given, version: 1, upcast: {} });
      continue;
    }
    const at = `events.${name}`;
    if (!isObject(given) || !isSchema(given.schema)) {
      return wrong(`${at} must be a Standard Schema or { schema, … }`);
    }
    const version = checkVersion(given.version, `${at}.version`, wrong);
    const upcast = (given.upcast ?? {}) as EventDefinition["upcast"];
    for (let from = 1; from < version; from++) {
      if (typeof upcast[from] !== "function")
        wrong(`${at}.upcast has no step from version ${from}`);
    }
    const { inverse } = given;
    if (inverse !== undefined && typeof inverse !== "function")
      wrong(`${at}.inverse must be a function`);
    const definition = { name, type, schema: given.schema, version, upcast };
    byType.set(
      type,
      inverse === undefined
        ? definition
        : { ...definition, inverse: inverse as NonNullable<EventDefinition["inverse"]> },
    );
  }
  return byType;
}

function checkEvolve(
  evolve: unknown,
  events: ReadonlyMap<string, EventDefinition>,
  wrong: Wrong,
): StreamDefinition["stepOf"] {
  if (typeof evolve === "function") {
    return (name) => (state, data, event) => evolve(state, namedEvent(name, data, event));
  }
  if (!isObject(evolve))
    return wrong("evolve must be a function, or an object of functions by event");
  const folds = new Map<string, StepFunction>();
  for (const { name } of events.values()) {
    const fold = evolve[name];
    if (typeof fold !== "function") wrong(`evolve.${name} is missing`);
    folds.set(name, fold as StepFunction);
  }
  for (const name of Object.keys(evolve)) {
    if (!folds.has(name)) wrong(`evolve.${name} is not an event of it`);
  }
  return (name) => folds.get(name);
}

/** Written out, because spreading an object of this size costs more than most folds. */
function namedEvent(name: string, data: unknown, event: EventInfo | NamedEvent): object {
  if ("name" in event) {
    event.data = data;
    return event;
  }
  const { stream, key, type, version, schema, occurredAt, commitId } = event;
  const { recordedAt, position, actor, tags, meta } = event;
  if (position === undefined) {
    const named = { name, data, stream, key, type, version, schema, occurredAt, commitId };
    return tags || meta ? Object.assign(named, tags && { tags }, meta && { meta }) : named;
  }
  const named = {
    name,
    data,
    stream,
    key,
    type,
    version,
    schema,
    occurredAt,
    commitId,
    recordedAt,
    position,
    actor,
  };
  return tags || meta ? Object.assign(named, tags && { tags }, meta && { meta }) : named;
}

function checkCommands(
  make: unknown,
  events: ReadonlyMap<string, EventDefinition>,
  wrong: Wrong,
): Record<string, AnyCommand> {
  if (make === undefined) return {};
  if (typeof make !== "function") return wrong("commands must be a function of { emit, refuse }");
  const emit = emitters(events);
  const refuse = (code: string, message = code) => ({ refused: { code, message } });
  const commands: unknown = make({ emit, refuse });
  if (!isObject(commands)) return wrong("commands must return an object of functions");
  for (const [name, command] of Object.entries(commands)) {
    if (typeof command !== "function") wrong(`commands.${name} must be a function`);
    if (HANDLE_MEMBERS.includes(name)) wrong(`a command cannot be called ${name}`);
  }
  return commands as Record<string, AnyCommand>;
}

function emitters(events: ReadonlyMap<string, EventDefinition>) {
  const emit: Record<string, (data: unknown) => Emitted> = {};
  for (const { name } of events.values()) emit[name] = (data) => ({ event: name, data });
  return emit;
}

function checkMerge(
  merge: unknown,
  events: ReadonlyMap<string, EventDefinition>,
  wrong: Wrong,
): StreamDefinition["merge"] {
  if (merge === undefined) return undefined;
  if (typeof merge !== "function") return wrong("merge must be a function of sides and { emit }");
  const emit = emitters(events);
  return (sides) => merge(sides, { emit });
}

function checkPolicy(policy: unknown, commands: Fields, wrong: Wrong): (command: string) => Policy {
  if (policy === undefined) return () => "rerun";
  if (POLICIES.includes(policy)) return () => policy as Policy;
  if (!isObject(policy)) return wrong(`policy must be ${POLICY}`);
  for (const [name, value] of Object.entries(policy)) {
    if (!Object.hasOwn(commands, name)) wrong(`policy.${name} is not a command of it`);
    if (!POLICIES.includes(value)) wrong(`policy.${name} must be ${POLICY}`);
  }
  return (command) => (policy[command] as Policy | undefined) ?? "rerun";
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

/** ArkType's schemas are functions, so both are looked into. */
function isSchema(value: unknown): value is StandardSchemaV1<unknown, unknown> {
  if (!isObject(value) && typeof value !== "function") return false;
  const standard: unknown = (value as Fields)["~standard"];
  return isObject(standard) && typeof standard.validate === "function";
}
