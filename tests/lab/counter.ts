/** The one kind of stream of the lab: its state depends on every event, its order and how often it was folded. */
import { type StandardSchemaV1, stream } from "tidelog";

/** One event of a commit. */
export interface Counted {
  /** Of the commit. */
  readonly tag: string;
  /** Which of the commit's events this is, from 1, of how many. */
  readonly part: number;
  readonly of: number;
  readonly filler?: string;
  /** The tag is that of an import, which is not one commit. */
  readonly imported?: boolean;
}

export interface Count {
  readonly count: number;
  readonly sum: number;
}

const counted: StandardSchemaV1<Counted, Counted> = {
  "~standard": {
    version: 1,
    vendor: "lab",
    validate: (value) => ({ value: value as Counted }),
  },
};

/** The same counter with another version of its fold is another fold with equal results. */
export function counterOf(version: number) {
  return stream("counter", {
    version,
    events: { counted },
    initial: { count: 0, sum: 0 } satisfies Count as Count,
    evolve: { counted: fold },
    commands: ({ emit }) => ({
      count: (_state, event: Counted) => emit.counted(event),
    }),
  });
}

/** The same kind in a later build of the app: it has an event and a command more, and so another fold. */
export const laterCounter = stream("counter", {
  version: 2,
  events: { counted, doubled: counted },
  initial: { count: 0, sum: 0 } satisfies Count as Count,
  evolve: { counted: fold, doubled: (state, event) => fold(fold(state, event), event) },
  commands: ({ emit }) => ({
    count: (_state, event: Counted) => emit.counted(event),
    double: (_state, event: Counted) => emit.doubled(event),
  }),
});

/** What the page folds and the test folds again. */
export function fold({ count, sum }: Count, { tag, part }: Counted): Count {
  let next = Math.imul(sum, 31) + part;
  for (let i = 0; i < tag.length; i += 1) next = Math.imul(next, 31) + tag.charCodeAt(i);
  return { count: count + 1, sum: next | 0 };
}
