/** Importing lines or frames, in pieces of bounded size: the next is read while the last is written. */
import { keyOf, kindOf } from "./batch.js";
import type { Imported, LogCore } from "./border.js";
import type { Engine } from "./engine.js";
import { lineError, messageOf, TidelogError, tidelogError } from "./errors.js";
import { framesIn, isFrames } from "./frames.js";
import { type Known, LineBatch } from "./import-batch.js";
import { checkKnown } from "./import-known.js";
import type { ImportOptions, ImportResult, ImportSource } from "./log-types.js";
import { parseLine } from "./ndjson.js";
import { deadline, nextTask } from "./slices.js";
import { type Piece, piecesOf } from "./source.js";

/** About so many bytes of frames are handed over at once. */
const FRAMES_BYTES = 1024 * 1024;
/** Lines parsed between two looks at the clock. */
const STRIDE = 64;

/** See `LogMembers.import`. */
export async function importLog(
  engine: Engine,
  source: ImportSource,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const { signal } = options;
  signal?.throwIfAborted();
  await engine.opened();
  const pieces = piecesOf(source, signal);
  try {
    const first = await pieces.next();
    const head: Piece = first.done ? "" : first.value;
    const format = options.format ?? (isBytesOfFrames(head) ? "frames" : "ndjson");
    const run = new Import(engine, options);
    await engine.saver.paused(() =>
      format === "frames" ? run.frames(head, pieces) : run.lines(head, pieces),
    );
    await engine.caughtUp();
    return run.result;
  } finally {
    await pieces.return();
  }
}

function isBytesOfFrames(piece: Piece): boolean {
  return typeof piece !== "string" && isFrames(piece);
}

class Import {
  readonly #engine: Engine;
  readonly #options: ImportOptions;
  #events = 0;
  #commits = 0;
  #skipped = 0;
  #bytes = 0;
  #line = 0;
  /** The write on its way. */
  #writing: Promise<void> | undefined;

  constructor(engine: Engine, options: ImportOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  get result(): ImportResult {
    return { events: this.#events, commits: this.#commits, skipped: this.#skipped };
  }

  async lines(first: Piece, rest: AsyncIterable<Piece>): Promise<void> {
    const core = await this.#engine.opened();
    const versionOf = (stream: string) => shownVersion(this.#engine, core, stream);
    const batch = new LineBatch(versionOf, !this.#engine.isSynced);
    // Bytes may end within a character.
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let tail = "";
    try {
      tail = await this.#takeLines(batch, this.#decode(decoder, first));
      for await (const piece of rest) {
        tail = await this.#takeLines(batch, tail + this.#decode(decoder, piece));
      }
      tail += this.#decode(decoder, undefined);
      if (tail.trim() !== "") await this.#takeLines(batch, `${tail}\n`);
    } catch (thrown) {
      throw await this.#ended(batch, thrown);
    }
    await this.#flush(batch);
    await this.#writing;
  }

  /** Lines before the one that is wrong are stored, and the error says how many. */
  async #ended(batch: LineBatch, thrown: unknown): Promise<unknown> {
    if (!(thrown instanceof TidelogError) || thrown.code !== "invalid_import") {
      // What is on its way counts, but what it ends with is not the reason.
      await this.#writing?.catch(() => undefined);
      return thrown;
    }
    await this.#flush(batch);
    await this.#writing;
    return tidelogError("invalid_import", { ...thrown.fields, imported: this.#events });
  }

  async frames(first: Piece, rest: AsyncIterable<Piece>): Promise<void> {
    let left: Uint8Array = this.#bytesOf(first);
    for await (const piece of rest) {
      left = joined(left, this.#bytesOf(piece));
      if (left.length >= FRAMES_BYTES) left = await this.#takeFrames(left);
    }
    left = await this.#takeFrames(left);
    if (left.length > 0) {
      throw tidelogError("invalid_import", {
        place: "its end",
        problem: "the last frame is cut off",
        imported: this.#events,
      });
    }
  }

  #bytesOf(piece: Piece): Uint8Array {
    if (typeof piece !== "string") {
      this.#bytes += piece.length;
      return piece;
    }
    if (piece === "") return new Uint8Array();
    throw tidelogError("invalid_import", {
      place: "its beginning",
      problem: "frames are bytes, not text",
      imported: 0,
    });
  }

  async #takeFrames(bytes: Uint8Array): Promise<Uint8Array> {
    this.#options.signal?.throwIfAborted();
    const end = framesIn(bytes).at(-1)?.end ?? 0;
    if (end === 0) return bytes;
    const core = await this.#engine.opened();
    const { events, commits, skipped } = await this.#engine.asked(
      core.importFrames(bytes.slice(0, end)),
    );
    this.#count({ events, commits });
    this.#skipped += skipped;
    return bytes.subarray(end);
  }

  #decode(decoder: TextDecoder, piece: Piece | undefined): string {
    if (typeof piece === "string") {
      this.#bytes += piece.length;
      return piece;
    }
    this.#bytes += piece?.length ?? 0;
    try {
      return piece ? decoder.decode(piece, { stream: true }) : decoder.decode();
    } catch (thrown) {
      throw lineError(this.#line + 1, "it is not UTF-8", thrown);
    }
  }

  /** Takes all whole lines of `text`; gives what is left. */
  async #takeLines(batch: LineBatch, text: string): Promise<string> {
    let expired = deadline();
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      const line = text.slice(start, text.charCodeAt(end - 1) === CARRIAGE_RETURN ? end - 1 : end);
      start = end + 1;
      this.#line++;
      if (line !== "") this.#takeLine(batch, line);
      if (batch.isFull) await this.#flush(batch);
      if (this.#line % STRIDE === 0 && expired()) {
        await nextTask();
        this.#options.signal?.throwIfAborted();
        expired = deadline();
      }
    }
    return text.slice(start);
  }

  #takeLine(batch: LineBatch, text: string): void {
    try {
      batch.add(parseLine(text), this.#line);
    } catch (thrown) {
      throw lineError(this.#line, messageOf(thrown), thrown);
    }
  }

  /** Starts to write what was gathered, once what was gathered before is written. */
  async #flush(batch: LineBatch): Promise<void> {
    await this.#writing;
    this.#options.signal?.throwIfAborted();
    const core = await this.#engine.opened();
    const { events, known } = batch.take();
    this.#writing = this.#write(core, events, known);
    // It is awaited before the next one; until then nobody hears of its failure.
    this.#writing.catch(() => undefined);
  }

  async #write(
    core: LogCore,
    events: ReturnType<LineBatch["take"]>["events"],
    known: readonly Known[],
  ): Promise<void> {
    await checkKnown(this.#engine, core, known);
    this.#skipped += known.length;
    if (events) this.#count(await this.#engine.asked(core.importEvents(events)));
  }

  #count({ events, commits }: Imported): void {
    this.#events += events;
    this.#commits += commits;
    this.#options.onProgress?.({ bytes: this.#bytes, events: this.#events });
  }
}

const CARRIAGE_RETURN = 0x0d;

/** Version of a stream; wasm is asked only where no rows know it. */
function shownVersion(engine: Engine, core: LogCore, stream: string): number {
  const { mirror } = engine;
  const kind = kindOf(stream);
  const rows = mirror.rows(kind);
  if (rows === undefined) return core.version(stream);
  return engine.pure(kind, () => rows.shownFold(keyOf(stream), mirror.queue)).version;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
