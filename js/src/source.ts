/** The bytes of an import, wherever they come from, in the pieces they come in. */
import { aborted } from "./abort.js";
import { tidelogError } from "./errors.js";
import type { ImportSource } from "./log-types.js";

export type Piece = Uint8Array | string;

/** Pieces of the source. Leaving the loop lets go of it; the signal ends the waiting for it. */
export async function* piecesOf(
  source: ImportSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece, void, void> {
  if (typeof source === "string" || source instanceof Uint8Array) {
    yield source;
  } else if (source instanceof Blob) {
    yield* streamed(source.stream(), signal);
  } else if ("getReader" in source) {
    yield* streamed(source, signal);
  } else if (Symbol.asyncIterator in source) {
    yield* iterated(source, signal);
  } else {
    throw tidelogError("invalid_argument", { subject: "the source of an import" });
  }
}

// Not every browser can loop over a stream.
async function* streamed(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece, void, void> {
  const reader = stream.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await aborted(reader.read(), signal);
      ended = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!ended) reader.cancel().catch(() => undefined);
  }
}

async function* iterated(
  source: AsyncIterable<Piece>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await aborted(iterator.next(), signal);
      ended = done === true;
      if (done) return;
      yield value;
    }
  } finally {
    // Not awaited: what it is busy with may never end.
    if (!ended) iterator.return?.().catch(() => undefined);
  }
}
