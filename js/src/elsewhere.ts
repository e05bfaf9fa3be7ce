/**
 * The streams that a command looks at besides its own. Each of them becomes a condition of the commit, so that what was
 * decided on them cannot be appended after they have changed.
 */
import type { EmittedElsewhere, OtherStream, Schemas, StreamDefinition } from "./define.js";

/** A stream as a command is shown it. */
export interface Shown {
  readonly definition: StreamDefinition;
  /** `kind/key`, checked. */
  readonly stream: string;
  readonly state: unknown;
  readonly version: number;
}

/** Finds a stream by kind and key. Throws `unknown_stream_kind`, `invalid_stream`, `stream_blocked`. */
export type Find = (kind: string, key: string) => Shown;

export class Elsewhere {
  readonly #own: Shown;
  readonly #find: Find;
  readonly #shown = new Map<string, Shown>();
  /** What kept a stream from being read. Whatever the command made of it, it cannot have decided on what is there. */
  failure: unknown;

  constructor(own: Shown, find: Find) {
    this.#own = own;
    this.#find = find;
  }

  /** Every other stream that was looked at, once. */
  get streams(): readonly Shown[] {
    return [...this.#shown.values()];
  }

  /** `context.read` of a command. */
  readonly read = (of: string | StreamDefinition, key?: string): OtherStream<unknown, Schemas> =>
    typeof of === "string"
      ? otherStream(this.look(this.#own.definition.kind, of), of)
      : otherStream(this.look(of.kind, key as string), key as string);

  /** The stream as the command sees it; the command's own is no other. Throws what {@link Find} throws. */
  look(kind: string, key: string): Shown {
    const stream = `${kind}/${key}`;
    if (stream === this.#own.stream) return this.#own;
    const known = this.#shown.get(stream);
    if (known) return known;
    try {
      const shown = this.#find(kind, key);
      this.#shown.set(stream, shown);
      return shown;
    } catch (thrown) {
      this.failure ??= thrown;
      throw thrown;
    }
  }
}

function otherStream(shown: Shown, key: string): OtherStream<unknown, Schemas> {
  const { definition, stream, state, version } = shown;
  return {
    key,
    state,
    version,
    // Most streams are only looked at.
    get emit() {
      const emit: Record<string, (data: unknown) => EmittedElsewhere> = {};
      for (const { name } of definition.events.values())
        emit[name] = (data) => ({ event: name, data, stream });
      return emit;
    },
  };
}
