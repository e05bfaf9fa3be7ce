/**
 * What an app declares: the kinds of streams with their events, fold and commands, and projections
 * over the whole log. Everything is inferred from the definition; a wrong one is refused here, with a
 * `DefinitionError`, not at its first event.
 */
import { checkProjection, checkStream } from "./define-check.js";
import type { InputOf, OutputOf, StandardSchemaV1 } from "./schema.js";
import type { EventInfo, NamedEvent, Policy, RecordedEvent } from "./types.js";

/** An event as a command returns it: `emit.added(data)`, or written out. */
export interface Emitted {
  /** Name of the event in its stream's definition, without the prefix. */
  readonly event: string;
  readonly data: unknown;
  readonly stream?: undefined;
}

/** An event on another stream than the command's own: `context.read(list, key).emit.added(data)`. */
export interface EmittedElsewhere {
  readonly event: string;
  readonly data: unknown;
  /** `kind/key` */
  readonly stream: string;
}

/** A command's no: `refuse("exists")`. */
export interface Refusal {
  readonly refused: { readonly code: string; readonly message: string };
}

type AnyEmitted = Emitted | EmittedElsewhere;

/** What a command decides. An empty list is "nothing to do" and appends nothing. */
export type Decision = AnyEmitted | readonly AnyEmitted[] | Refusal;

/** What a command may know besides the state. The same on every rerun, except `version` and what is read. */
// biome-ignore lint/suspicious/noExplicitAny: a context of whatever kind
export interface CommandContext<State = any, Events extends Schemas = any> {
  /** Milliseconds since 1970 when the command was first given. */
  readonly now: number;
  /** Version of the stream that the command decides on; 0 if it does not exist. */
  readonly version: number;
  readonly key: string;
  /** A new UUID for each call, derived from the commit's id. */
  id(): string;
  /**
   * Another stream as it is shown, of the same kind. The commit then expects it unchanged, as it does its own:
   * if others are faster there, it follows the command's policy. Throws `unknown_stream_kind`,
   * `invalid_stream`, `stream_blocked`, which is what the command then fails with.
   */
  read(key: string): OtherStream<State, Events>;
  /** The same, of another kind that the log declares. */
  read<Def extends StreamDefinition>(
    definition: Def,
    key: string,
  ): OtherStream<StateOf<Def>, EventsOf<Def>>;
}

/** A stream that a command looks at besides its own. */
export interface OtherStream<State, Events extends Schemas> {
  readonly key: string;
  /** `initial` if it does not exist. */
  readonly state: State;
  /** 0 if it does not exist. */
  readonly version: number;
  /** Events on this stream, in the same commit as the command's own. */
  readonly emit: {
    readonly [Name in keyof Events]: (data: InputOf<Events[Name]>) => EmittedElsewhere;
  };
}

/** What two sides made of a stream, for `merge`. */
export interface Sides<State> {
  /** The state that both began with. */
  readonly base: State;
  /** The state now: confirmed, and what is pending before this commit. */
  readonly theirs: State;
  /** The base with this commit's own events. */
  readonly mine: State;
  /** This commit's own events on the stream, payloads as they were written. */
  readonly events: readonly RecordedEvent[];
}

/** An event type with more than a schema. */
export interface EventSpec<Schema, State> {
  readonly schema: Schema;
  /** Version of the payload, from 1. Raise it when the schema changes, and add an upcaster. */
  readonly version?: number;
  /** From payload version n to n + 1, run when an older event is read. */
  // biome-ignore lint/suspicious/noExplicitAny: payloads of versions that no schema describes any more
  readonly upcast?: { readonly [fromVersion: number]: (data: any) => unknown };
  /** What takes the event back, for `log.undo`. `before` is the state it was applied to. */
  readonly inverse?: (data: OutputOf<Schema>, before: State) => Emitted | readonly Emitted[];
}

/** Schemas by event name. */
export type Schemas = {
  readonly [name: string]: StandardSchemaV1<never, unknown> | StandardSchemaV1<unknown, unknown>;
};

/** The shape of any command. */
// biome-ignore lint/suspicious/noExplicitAny: stands for every state in a bound
export type AnyCommand = (state: any, args: never, context: CommandContext) => Decision;

/** `emit` and `refuse`, as `commands` receives them. */
export interface CommandHelpers<Events extends Schemas> {
  readonly emit: {
    readonly [Name in keyof Events]: (data: InputOf<Events[Name]>) => Emitted;
  };
  readonly refuse: (code: string, message?: string) => Refusal;
}

/** One fold function for each event, or one for every type of the kind. */
export type Evolve<Events extends Schemas, State> =
  | {
      readonly [Name in keyof Events]: (
        state: State,
        data: OutputOf<Events[Name]>,
        event: EventInfo,
      ) => State;
    }
  | ((state: State, event: EventInfo & { readonly name: string; readonly data: unknown }) => State);

/** What {@link stream} takes. */
export interface StreamOptions<
  Events extends Schemas,
  State,
  Commands extends { readonly [name: string]: AnyCommand },
> {
  /** Version of the fold. Default 1. */
  readonly version?: number;
  /** An event's type on the log is prefix + name. Default `${kind}.`; `""` keeps bare names. */
  readonly prefix?: string;
  /** A Standard Schema (checked on append only) or an {@link EventSpec} for each event. */
  readonly events: {
    readonly [Name in keyof Events]: Events[Name] | EventSpec<Events[Name], NoInfer<State>>;
  };
  readonly initial: State;
  readonly evolve: Evolve<NoInfer<Events>, NoInfer<State>>;
  readonly commands?: (helpers: CommandHelpers<NoInfer<Events>>) => Commands & {
    readonly [name: string]: (
      state: NoInfer<State>,
      args: never,
      context: CommandContext<NoInfer<State>, NoInfer<Events>>,
    ) => Decision;
  };
  /** For all commands or each. Default `"rerun"`. */
  readonly policy?: Policy | { readonly [Name in keyof NoInfer<Commands>]?: Policy };
  /**
   * For the policy `"merge"`: the events to append on top of `theirs`, in place of the commit's own. None: nothing is
   * left to do. `undefined`: it is parked for a person to look at.
   */
  readonly merge?: (
    sides: Sides<NoInfer<State>>,
    helpers: Pick<CommandHelpers<NoInfer<Events>>, "emit">,
  ) => Emitted | readonly Emitted[] | undefined;
}

/** An event type as the log needs it. */
export interface EventDefinition {
  readonly name: string;
  readonly type: string;
  readonly schema: StandardSchemaV1<unknown, unknown>;
  readonly version: number;
  readonly upcast: { readonly [fromVersion: number]: (data: unknown) => unknown };
  readonly inverse?: (data: unknown, before: unknown) => Emitted | readonly Emitted[];
}

/** Folds one event. */
export type StepFunction<State = unknown> = (
  state: State,
  data: unknown,
  event: EventInfo | NamedEvent,
) => State;

/** What {@link stream} gives: pass it to `createLog` and `rows`. */
export interface StreamDefinition<
  Kind extends string = string,
  // biome-ignore lint/suspicious/noExplicitAny: the bound of every definition
  State = any,
  // biome-ignore lint/suspicious/noExplicitAny: the bound of every definition
  Commands = any,
  // biome-ignore lint/suspicious/noExplicitAny: the bound of every definition
  Events extends Schemas = any,
> {
  readonly kind: Kind;
  readonly version: number;
  readonly initial: State;
  /** By full type. */
  readonly events: ReadonlyMap<string, EventDefinition>;
  readonly prefix: string;
  /** True: the fold sees every type of the kind, declared or not. */
  readonly open: boolean;
  /** What folds events of a name, their payloads upcast already. */
  readonly stepOf: (name: string) => StepFunction<State> | undefined;
  readonly commands: { readonly [name in keyof Commands & string]: AnyCommand };
  readonly policyOf: (command: string) => Policy;
  readonly merge: ((sides: Sides<State>) => Emitted | readonly Emitted[] | undefined) | undefined;
  /** For inference only; never set. */
  readonly "~types"?: {
    readonly state: State;
    readonly commands: Commands;
    readonly events: Events;
  };
}

/** The state of a definition. */
export type StateOf<Def> =
  Def extends StreamDefinition<string, infer State, infer _> ? State : never;

/** The schemas of a definition's events. */
export type EventsOf<Def> =
  Def extends StreamDefinition<string, infer _S, infer _C, infer Events> ? Events : never;

/** Declares a kind of stream. Throws `invalid_definition`. */
export function stream<
  const Kind extends string,
  Events extends Schemas,
  State,
  // biome-ignore lint/complexity/noBannedTypes: no commands means no members
  Commands extends { readonly [name: string]: AnyCommand } = {},
>(
  kind: Kind,
  options: StreamOptions<Events, State, Commands>,
): StreamDefinition<Kind, State, Commands, Events> {
  return checkStream(kind, options as unknown as UncheckedStream) as StreamDefinition<
    Kind,
    State,
    Commands,
    Events
  >;
}

/** A fold of the whole log into one value: counts, sums, a read model across kinds. */
export interface Projection<Result> {
  readonly name: string;
  readonly version: number;
  readonly initial: Result;
  readonly evolve: (state: Result, event: RecordedEvent) => Result;
}

/** Declares a {@link Projection}; payloads arrive upcast if their kind is declared in the log. Throws `invalid_definition`. */
export function projection<Result>(options: {
  readonly name: string;
  /** Version of the fold. Default 1. */
  readonly version?: number;
  readonly initial: Result;
  readonly evolve: (state: NoInfer<Result>, event: RecordedEvent) => NoInfer<Result>;
}): Projection<Result> {
  return checkProjection({ version: 1, ...options });
}

/** Options of a stream before anything about them is known. */
export interface UncheckedStream {
  readonly version?: unknown;
  readonly prefix?: unknown;
  readonly events?: unknown;
  readonly initial?: unknown;
  readonly evolve?: unknown;
  readonly commands?: unknown;
  readonly policy?: unknown;
  readonly merge?: unknown;
}
