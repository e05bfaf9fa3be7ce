/** The confirmed fold of one kind, stream by stream: what snapshots keep and what is built beside. */
import { type BatchReader, ownText } from "./batch.js";
import type { ChangedBucket, FoldSnapshot } from "./border.js";
import { type BucketRow, bucketCount, bucketOf, bucketToText, textToBucket } from "./buckets.js";
import { type Folded, Folder, type Report, type Step } from "./fold.js";
import { notPlain } from "./plain.js";
import type { UnfoldedStream } from "./types.js";

/** A fold of the confirmed log, wherever it stands. */
export interface ConfirmedFold {
  /** Unique among the folds of a log, and the same from one visit to the next. */
  readonly name: string;
  readonly version: number;
  /** The last position it has folded; 0 for none. */
  position: number;
  /** Why no snapshot can be made of it. */
  readonly problem: string | undefined;
  /** Folds events `from` to `to` (not included) of a batch. The caller counts `position` on. */
  take(reader: BatchReader, from: number, to: number): void;
  /** Lets go of the batch it looked at last. */
  release(): void;
  /** Takes a text of a snapshot in. Throws if it does not fit. */
  install(text: string): void;
  /** A fold of the same with nothing in it. */
  fresh(): ConfirmedFold;
  /** Forgets everything. */
  reset(): void;
  /** Starts on a snapshot of what is folded now. The steps between two yields are short. */
  save(): Generator<undefined, FoldSnapshot | undefined>;
  /** What `save` gave was not stored: it is to be saved again, `whole` if what is stored is in doubt. */
  unsave(whole: boolean): void;
}

export class KindFold implements ConfirmedFold {
  readonly name: string;
  readonly version: number;
  readonly folder: Folder;
  readonly streams = new Map<string, Folded>();
  /** Keys that changed since somebody took this list. */
  changed: string[] = [];
  /** Called before a stream changes for the first time since then; `undefined`: it is new. */
  beforeChange: ((key: string, folded: Folded | undefined) => void) | undefined;
  readonly unfolded = new Map<string, UnfoldedStream>();
  position = 0;
  problem: string | undefined;
  /** What the ids of its streams begin with. */
  readonly #prefix: string;
  #unsaved: string[] = [];
  /** What the last `save` began with: keys and number of buckets. */
  #before: { readonly keys: readonly string[]; readonly buckets: number } | undefined;
  /** How many buckets the last snapshot has; 0: there is none to build on. */
  #buckets = 0;
  #reader: BatchReader | undefined;
  /** For each name of the reader's dictionary; `null`: a stream of another kind, or one that is known in part. */
  #targets: (Folded | null | undefined)[] = [];
  #steps: (Step | undefined)[] = [];
  #keys: (string | undefined)[] = [];

  constructor(folder: Folder) {
    this.folder = folder;
    this.name = `rows/${folder.definition.kind}`;
    this.version = folder.definition.version;
    this.#prefix = `${folder.definition.kind}/`;
  }

  take(reader: BatchReader, from: number, to: number): void {
    if (reader !== this.#reader) this.#look(reader);
    const { stream, type } = reader.batch;
    for (let i = from; i < to; i++) {
      const name = stream[i] ?? 0;
      let target = this.#targets[name];
      if (target === undefined) {
        const partial = reader.batch.partial?.includes(name) ?? false;
        target = partial ? null : this.#target(reader.names[name] ?? "", name);
        this.#targets[name] = target;
      }
      if (target === null) continue;
      const key = this.#keys[name] ?? "";
      const known = type[i] ?? 0;
      let step = this.#steps[known];
      if (step === undefined) {
        step = this.folder.step(reader.names[known] ?? "");
        this.#steps[known] = step;
      }
      if (!target.changed) this.#change(key, target);
      if (!target.unsaved) {
        target.unsaved = true;
        this.#unsaved.push(key);
      }
      const event = step.name === undefined ? reader.event(i) : reader.named(i, step.name, key);
      if (!this.folder.fold(target, step, event)) {
        this.problem ??= `it threw on ${event.type} of ${event.stream} version ${event.version}`;
      }
      if (target.unfolded && !this.unfolded.has(key)) this.unfolded.set(key, target.unfolded);
    }
  }

  /** Gives the keys that changed and counts from here on. */
  takeChanged(): readonly string[] {
    const { changed } = this;
    if (changed.length === 0) return changed;
    this.changed = [];
    for (const key of changed) {
      const folded = this.streams.get(key);
      if (folded) folded.changed = false;
    }
    return changed;
  }

  release(): void {
    this.#reader = undefined;
    this.#targets = [];
    this.#steps = [];
    this.#keys = [];
  }

  install(text: string): void {
    const { bucket, buckets, rows } = textToBucket(text);
    if (this.#buckets > 0 && this.#buckets !== buckets) throw new Error("its buckets do not fit");
    this.#buckets = buckets;
    for (const [key, version, createdAt, updatedAt, lastType, state, unfolded] of rows) {
      if (this.streams.has(key) || bucketOf(key, buckets) !== bucket) {
        throw new Error("a row is where it does not belong");
      }
      const step = this.folder.step(lastType);
      const folded = this.folder.unborn();
      folded.state = state;
      folded.version = version;
      folded.createdAt = createdAt;
      folded.updatedAt = updatedAt;
      folded.lastType = step.type;
      this.streams.set(key, folded);
      if (unfolded) this.#installUnfolded(key, folded, unfolded);
    }
  }

  fresh(): KindFold {
    return new KindFold(this.folder);
  }

  reset(): void {
    this.streams.clear();
    this.unfolded.clear();
    this.changed = [];
    this.position = 0;
    this.problem = undefined;
    this.#unsaved = [];
    this.#before = undefined;
    this.#buckets = 0;
    this.release();
  }

  *save(): Generator<undefined, FoldSnapshot | undefined> {
    const buckets = bucketCount(this.streams.size, this.#buckets);
    const whole = buckets !== this.#buckets;
    const dirty = new Set<number>();
    if (!whole) for (const key of this.#unsaved) dirty.add(bucketOf(key, buckets));
    const rows = new Map<number, BucketRow[]>();
    let steps = 0;
    for (const [key, folded] of whole || dirty.size > 0 ? this.streams : []) {
      if (++steps % STRIDE === 0) yield;
      const bucket = bucketOf(key, buckets);
      if (!whole && !dirty.has(bucket)) continue;
      const problem = folded.unsaved || whole ? notPlain(folded.state) : undefined;
      if (problem) {
        this.problem = `the state of ${this.folder.definition.kind}/${key} is not plain JSON: ${problem}`;
        return undefined;
      }
      const list = rows.get(bucket);
      const row = toRow(key, folded);
      if (list) list.push(row);
      else rows.set(bucket, [row]);
    }
    const changed: ChangedBucket[] = [];
    for (const [bucket, list] of rows) {
      changed.push({ bucket, data: bucketToText({ bucket, buckets, rows: list }) });
      if (changed.length % 4 === 0) yield;
    }
    for (const key of this.#unsaved) {
      const folded = this.streams.get(key);
      if (folded) folded.unsaved = false;
    }
    this.#before = { keys: this.#unsaved, buckets: this.#buckets };
    this.#unsaved = [];
    this.#buckets = buckets;
    return { name: this.name, version: this.version, buckets, whole, changed };
  }

  unsave(whole: boolean): void {
    for (const key of this.#before?.keys ?? []) {
      const folded = this.streams.get(key);
      if (folded === undefined || folded.unsaved) continue;
      folded.unsaved = true;
      this.#unsaved.push(key);
    }
    this.#buckets = whole ? 0 : (this.#before?.buckets ?? 0);
    this.#before = undefined;
  }

  #look(reader: BatchReader): void {
    this.#reader = reader;
    this.#targets = new Array(reader.names.length);
    this.#steps = new Array(reader.names.length);
    this.#keys = new Array(reader.names.length);
  }

  #target(stream: string, name: number): Folded | null {
    if (!stream.startsWith(this.#prefix)) return null;
    const key = stream.slice(this.#prefix.length);
    const known = this.streams.get(key);
    if (known) {
      this.#keys[name] = key;
      return known;
    }
    const own = ownText(key);
    const folded = this.folder.unborn();
    this.#keys[name] = own;
    this.streams.set(own, folded);
    return folded;
  }

  #change(key: string, folded: Folded): void {
    this.beforeChange?.(key, folded.version > 0 ? folded : undefined);
    folded.changed = true;
    this.changed.push(key);
  }

  /** Code that knows the event by now must fold the stream anew: then the snapshot is none. */
  #installUnfolded(key: string, folded: Folded, [type, schema]: readonly [string, number]): void {
    if (this.folder.knows(this.folder.step(type), schema)) {
      throw new Error(`the code can fold ${type} now, which it could not when this was made`);
    }
    folded.unfolded = { stream: `${this.folder.definition.kind}/${key}`, type, schema };
    this.unfolded.set(key, folded.unfolded);
  }
}

/** Rows looked at between two yields. */
const STRIDE = 512;

function toRow(key: string, folded: Folded): BucketRow {
  const { version, createdAt, updatedAt, lastType, state, unfolded } = folded;
  const row = [key, version, createdAt, updatedAt, lastType, state] as const;
  return unfolded ? [...row, [unfolded.type, unfolded.schema]] : row;
}

/** A fold of its own for a definition, with nothing in it. */
export function kindFoldOf(definition: Folder["definition"], report: Report): KindFold {
  return new KindFold(new Folder(definition, report));
}
