/**
 * Kinds whose commands look at each other's streams. Every event says which version of the other stream its command saw, so
 * that a log tells by itself whether anything was decided on what was no longer true.
 */
import { type StandardSchemaV1, stream } from "tidelog";

/** The price that sales look at. */
export interface Priced {
  readonly price: number;
}

/** Money that went in or out of a till, and what the command saw. */
export interface Booked {
  readonly amount: number;
  /** Of the stream `other`. */
  readonly seen: number;
  readonly other: string;
}

const price = stream("price", {
  events: { set: any<Priced>() },
  initial: { price: 1 },
  evolve: { set: (_state, { price }) => ({ price }) },
  commands: ({ emit }) => ({ set: (_state, price: number) => emit.set({ price }) }),
});

const till = stream("till", {
  events: { sold: any<Booked>(), moved: any<Booked>() },
  initial: { balance: 0 },
  evolve: {
    sold: ({ balance }, { amount }) => ({ balance: balance + amount }),
    moved: ({ balance }, { amount }) => ({ balance: balance + amount }),
  },
  commands: ({ emit, refuse }) => ({
    /** Looks at the price, and only looks. */
    sell: (_state, of: string, context) => {
      const { state, version } = context.read(price, of);
      return emit.sold({ amount: state.price, seen: version, other: `price/${of}` });
    },
    /** Moves all there is to another till, as one commit. */
    empty: ({ balance }, to: string, context) => {
      if (balance === 0) return refuse("nothing_there");
      const target = context.read(to);
      const own = { seen: context.version, other: `till/${context.key}` };
      return [
        emit.moved({ amount: -balance, seen: target.version, other: `till/${to}` }),
        target.emit.moved({ amount: balance, ...own }),
      ];
    },
  }),
});

export const shop = { price, till };

function any<T>(): StandardSchemaV1<T, T> {
  const validate = (value: unknown) => ({ value: value as T });
  return { "~standard": { version: 1, vendor: "lab", validate } };
}
