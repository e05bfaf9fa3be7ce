/** Handles: `log.todo(key)`, with a method for each command of the kind. */
import type { Commands } from "./commands.js";
import type { StreamDefinition } from "./define.js";
import type { Engine } from "./engine.js";
import type { AppendOptions, HistoryOptions, ReadStreamOptions } from "./log-types.js";
import { collect, readStream } from "./reading.js";
import { streamOf } from "./stream-id.js";
import type { RawEvent, Receipt, RecordedEvent } from "./types.js";

type Call = (args?: unknown) => Receipt;

/** The function that gives the handles of a kind. */
export function handlesOf(
  definition: StreamDefinition,
  engine: Engine,
  commands: Commands,
): (key: string) => object {
  class Handle {
    readonly key: string;
    readonly stream: string;

    constructor(key: string) {
      this.key = key;
      this.stream = streamOf(definition.kind, key);
    }

    get state(): unknown {
      const row = engine.mirror.rows(definition.kind)?.shown(this.key);
      return row ? row.state : definition.initial;
    }

    get version(): number {
      return engine.mirror.rows(definition.kind)?.shown(this.key)?.version ?? 0;
    }

    seen(version: number): Record<string, Call> {
      const target = { definition, key: this.key, stream: this.stream };
      return callsOf((name, args) => commands.run(target, name, args, version));
    }

    async history(options?: HistoryOptions): Promise<readonly RecordedEvent[]> {
      return collect(this.read(options));
    }

    read(options?: ReadStreamOptions): AsyncIterableIterator<RecordedEvent> {
      return readStream(engine, this.stream, options);
    }

    append(events: readonly Omit<RawEvent, "stream">[], options?: AppendOptions): Receipt {
      const { stream } = this;
      return commands.append(
        events.map((event) => ({ ...event, stream })),
        options,
      );
    }
  }

  const callsOf = (run: (name: string, args: unknown) => Receipt): Record<string, Call> =>
    Object.fromEntries(
      Object.keys(definition.commands).map((name) => [name, (args) => run(name, args)]),
    );

  for (const name of Object.keys(definition.commands)) {
    Object.defineProperty(Handle.prototype, name, {
      value(this: Handle, args?: unknown) {
        return commands.run({ definition, key: this.key, stream: this.stream }, name, args);
      },
    });
  }
  return (key) => new Handle(key);
}
