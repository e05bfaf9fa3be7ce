/** Lines become columns: up to a hundred of them a commit, some thousands a batch. */
import type { ImportBatch, ImportExtras } from "./border.js";
import { isReserved } from "./fold.js";
import type { Line } from "./ndjson.js";

/** So many lines, or about so many characters of payload, are one commit. */
const COMMIT_LINES = 100;
const COMMIT_CHARS = 256 * 1024;
/** The same of a batch, which is written at once. */
const BATCH_LINES = 5000;
const BATCH_CHARS = 1024 * 1024;

/** A line whose event should be in the log already. */
export interface Known {
  readonly line: number;
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  readonly time: number;
  readonly schema: number;
  readonly data: string;
  readonly erased?: string;
}

interface StreamState {
  readonly stream: string;
  /** With the lines that were added. */
  version: number;
  /** Its number in the batch that is being filled. */
  index: number;
  batch: number;
}

export class LineBatch {
  readonly #versionOf: (stream: string) => number;
  readonly #streams = new Map<string, StreamState>();
  /** The same by the names that lines give them. */
  readonly #byName = new Map<string, StreamState>();
  #lastName: string | undefined;
  #lastState: StreamState | undefined;
  #batch = 0;
  #names: string[] = [];
  #types: string[] = [];
  #typeIndex = new Map<string, number>();
  #known: Known[] = [];
  #stream: number[] = [];
  #type: number[] = [];
  #occurredAt: number[] = [];
  #schema: number[] = [];
  #ends: number[] = [];
  #commitEnd: number[] = [];
  #payloads: string[] = [];
  #extras: ImportExtras[] = [];
  #chars = 0;
  #commitStart = 0;
  #commitChars = 0;
  /** Is the commit that is being filled one of events that only a server records? */
  #isErasing = false;
  readonly #takesErased: boolean;

  /**
   * @param versionOf version of a stream as it is shown now
   * @param takesErased whether new events may be erased, or say what was erased: a log that is synced takes them from its server alone
   */
  constructor(versionOf: (stream: string) => number, takesErased: boolean) {
    this.#versionOf = versionOf;
    this.#takesErased = takesErased;
  }

  get isFull(): boolean {
    const lines = this.#payloads.length + this.#known.length;
    return lines >= BATCH_LINES || this.#chars >= BATCH_CHARS;
  }

  /** Throws an `Error` that says what is wrong with the line; nothing of it is taken then. */
  add(line: Line, number: number): void {
    const state = this.#stateOf(line.stream);
    const { version = state.version + 1, type, time, schema, data, erased } = line;
    if (version <= state.version) {
      checkType(type);
      const { stream } = state;
      const known = { line: number, stream, version, type, time, schema, data };
      this.#known.push(erased === undefined ? known : { ...known, erased });
      return;
    }
    if (version > state.version + 1) {
      throw new Error(
        `stream ${state.stream} has version ${state.version} before this line, so it cannot have version ${version} next`,
      );
    }
    const isErasing = erased !== undefined || isReserved(type);
    if (isErasing && !this.#takesErased) {
      throw new Error(
        "it was erased, or says what was erased, and this log is synced: only its server records that (`tidelog backup` and `tidelog restore` bring such a log over)",
      );
    }
    const typeIndex = this.#typeIndex.get(type) ?? this.#addType(type);
    state.version = version;
    // In commits of their own: should a server be added to this log later, it takes all others.
    if (isErasing !== this.#isErasing && this.#commitStart < this.#payloads.length) {
      this.#endCommit();
    }
    this.#isErasing = isErasing;
    this.#push(state, typeIndex, line);
  }

  /** What was added since the last time. */
  take(): { readonly events: ImportBatch | undefined; readonly known: readonly Known[] } {
    const known = this.#known;
    const events = this.#payloads.length > 0 ? this.#toColumns() : undefined;
    this.#batch++;
    this.#names = [];
    this.#types = [];
    this.#typeIndex = new Map();
    this.#known = [];
    this.#stream = [];
    this.#type = [];
    this.#occurredAt = [];
    this.#schema = [];
    this.#ends = [];
    this.#commitEnd = [];
    this.#payloads = [];
    this.#extras = [];
    this.#chars = 0;
    this.#commitStart = 0;
    this.#commitChars = 0;
    return { events, known };
  }

  #addType(type: string): number {
    checkType(type);
    const index = this.#types.push(type) - 1;
    this.#typeIndex.set(type, index);
    return index;
  }

  #push(state: StreamState, typeIndex: number, line: Line): void {
    const { time, data, schema, tags, meta, erased } = line;
    const event = this.#payloads.length;
    if (state.batch !== this.#batch) {
      state.batch = this.#batch;
      state.index = this.#names.push(state.stream) - 1;
    }
    this.#stream.push(state.index);
    this.#type.push(typeIndex);
    this.#occurredAt.push(time);
    this.#schema.push(schema);
    this.#chars += data.length;
    this.#ends.push(this.#chars);
    // The comma behind it.
    this.#chars++;
    this.#payloads.push(data);
    if (tags || meta || erased) {
      this.#extras.push({
        event,
        ...(tags ? { tags } : {}),
        ...(meta ? { meta } : {}),
        ...(erased ? { erased } : {}),
      });
    }
    this.#commitChars += data.length;
    if (event + 1 - this.#commitStart >= COMMIT_LINES || this.#commitChars >= COMMIT_CHARS) {
      this.#endCommit();
    }
  }

  #endCommit(): void {
    this.#commitStart = this.#payloads.length;
    this.#commitChars = 0;
    this.#commitEnd.push(this.#commitStart);
  }

  #toColumns(): ImportBatch {
    if (this.#commitStart < this.#payloads.length) this.#endCommit();
    return {
      streams: this.#names,
      types: this.#types,
      stream: new Uint32Array(this.#stream),
      type: new Uint32Array(this.#type),
      occurredAt: new Float64Array(this.#occurredAt),
      schema: new Uint32Array(this.#schema),
      data: this.#payloads.join(","),
      ends: new Uint32Array(this.#ends),
      commitEnd: new Uint32Array(this.#commitEnd),
      ...(this.#extras.length > 0 ? { extras: this.#extras } : {}),
    };
  }

  #stateOf(name: string): StreamState {
    // Events of one stream often follow each other.
    if (name === this.#lastName) return this.#lastState as StreamState;
    const state = this.#byName.get(name) ?? this.#addStream(name);
    this.#lastName = name;
    this.#lastState = state;
    return state;
  }

  #addStream(name: string): StreamState {
    const stream = name.includes("/") ? name : name.replace("-", "/");
    checkStream(stream);
    const state = this.#streams.get(stream) ?? {
      stream,
      version: this.#versionOf(stream),
      index: 0,
      batch: -1,
    };
    this.#streams.set(stream, state);
    this.#byName.set(name, state);
    return state;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const CONTROL = /[\u0000-\u001f\u007f]/;

function checkStream(stream: string): void {
  if (!/^[^/]+\/./su.test(stream) || CONTROL.test(stream)) {
    throw new Error(`${JSON.stringify(stream)} is not a stream: expected kind/key`);
  }
}

function checkType(type: string): void {
  if (type === "" || CONTROL.test(type)) throw new Error("type is not the name of an event type");
}
