/**
 * A run: which figures, of whom, on how much. It prepares databases once for all figures that read them, measures the
 * subjects in turn, round by round, so that a slow moment of the machine hits all alike, and keeps who failed at what.
 */
import type { FigureId, Peers } from "./figures/figure.ts";
import type { Host } from "./host.ts";
import { WrongResult } from "./loan.ts";
import type { Answers, Request } from "./runner/requests.ts";
import { median } from "./stats.ts";
import { SUBJECTS, type SubjectInfo } from "./subjects/registry.ts";
import type { SubjectId } from "./subjects/subject.ts";

export interface Options {
  /** What the table calls 100,000; the other sizes follow it. */
  readonly events: number;
  readonly rounds: number;
  /** Fewer single calls as well. */
  readonly quick: boolean;
  /** All when empty. */
  readonly only: readonly FigureId[];
  /** Beside Tidelog and the raw ones; all when absent. */
  readonly peers?: readonly string[] | undefined;
}

export const DEFAULTS: Options = { events: 100_000, rounds: 3, quick: false, only: [] };

/** `base` is the table's 100,000, `large` its 262,200, `million` ten times base on the streams of base. */
export type Size = "small" | "base" | "large" | "million";

/** A subject that took so long is not asked again in later rounds of the same figure. */
const SLOW = 15_000;
/** All databases of a run have it in their names. */
export const DATABASE_PREFIX = "tidelog-bench-";
const TIDELOG_AND_RAW: readonly SubjectId[] = ["tidelog", "segments", "records"];

export interface Progress {
  readonly label: string;
}

/** What the subjects gave for one figure. */
export class Samples {
  readonly #of = new Map<SubjectId, number[]>();

  add(subject: SubjectId, ...samples: readonly number[]): void {
    const list = this.#of.get(subject) ?? [];
    this.#of.set(subject, list);
    list.push(...samples);
  }

  median(subject: SubjectId): number | undefined {
    const list = this.#of.get(subject);
    return list && list.length > 0 ? median(list) : undefined;
  }

  count(subject: SubjectId): number {
    return this.#of.get(subject)?.length ?? 0;
  }

  all(subject: SubjectId): readonly number[] {
    return this.#of.get(subject) ?? [];
  }

  /** The medians of all but Tidelog, by name. */
  peers(): Peers {
    const peers: Record<string, number> = {};
    for (const { id, name } of SUBJECTS) {
      const value = id === "tidelog" ? undefined : this.median(id);
      if (value !== undefined) peers[name] = value;
    }
    return peers;
  }

  /** The best of the libraries, the raw ones aside. */
  best(better: "lower" | "higher"): number | undefined {
    const medians = [...this.#of.keys()]
      .filter((id) => !TIDELOG_AND_RAW.includes(id))
      .map((id) => this.median(id))
      .filter((value) => value !== undefined);
    if (medians.length === 0) return undefined;
    return better === "lower" ? Math.min(...medians) : Math.max(...medians);
  }

  /** How many samples each median stands on. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#of].map(([id, list]) => [id, list.length]));
  }
}

export class Bench {
  readonly host: Host;
  readonly options: Options;
  /** Of the figure that is measured now. */
  readonly without = new Map<string, string>();
  readonly wrong: string[] = [];
  readonly #signal: AbortSignal;
  readonly #onProgress: (progress: Progress) => void;
  readonly #prepared = new Map<string, Promise<string>>();
  readonly #references = new Map<Size, Promise<Answers["reference"]>>();
  #figure: FigureId = "append";
  #databases = 0;

  constructor(
    host: Host,
    options: Options,
    signal: AbortSignal,
    onProgress: (progress: Progress) => void,
  ) {
    this.host = host;
    this.options = options;
    this.#signal = signal;
    this.#onProgress = onProgress;
  }

  /** Forgets what the last figure left out. */
  begin(figure: FigureId): void {
    this.#figure = figure;
    this.without.clear();
    this.wrong.length = 0;
  }

  /** Who takes part in the figure: Tidelog first. */
  get subjects(): readonly SubjectInfo[] {
    const { peers } = this.options;
    return SUBJECTS.filter(({ id, name, without }) => {
      const reason = without[this.#figure];
      if (reason !== undefined) this.without.set(name, reason);
      const asked = TIDELOG_AND_RAW.includes(id) || peers === undefined || peers.includes(id);
      return asked && reason === undefined;
    });
  }

  /** Throws if the run was stopped. */
  say(label: string): void {
    this.#signal.throwIfAborted();
    this.#onProgress({ label });
  }

  /** Does the work for each subject in each round, in another order each round. */
  async inTurn(
    what: string,
    subjects: readonly SubjectInfo[],
    work: (info: SubjectInfo, round: number) => Promise<void>,
  ): Promise<void> {
    const { rounds } = this.options;
    const out = new Set<SubjectId>();
    for (let round = 0; round < rounds; round += 1) {
      for (let i = 0; i < subjects.length; i += 1) {
        const info = subjects[(i + round) % subjects.length];
        if (info === undefined || out.has(info.id)) continue;
        this.say(`${what}: ${info.name}, round ${round + 1} of ${rounds}`);
        const start = performance.now();
        const done = await this.attempt(info.name, () => work(info, round));
        if (!done || performance.now() - start > SLOW) out.add(info.id);
      }
    }
  }

  /** False if it failed: then the row says so. A stopped run throws. */
  async attempt(name: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      this.#signal.throwIfAborted();
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      if (thrown instanceof WrongResult) this.wrong.push(reason);
      this.without.set(name, reason);
      return false;
    }
  }

  eventsOf(size: Size): number {
    const { events } = this.options;
    const factor = { small: 0.01, base: 1, large: 2.622, million: 10 }[size];
    return Math.max(1, Math.round(events * factor));
  }

  dataOf(size: Size): { readonly events: number; readonly distinct?: number } {
    const events = this.eventsOf(size);
    return size === "million" ? { events, distinct: this.eventsOf("base") } : { events };
  }

  /** A plain fold of the data of this size. */
  reference(size: Size): Promise<Answers["reference"]> {
    let known = this.#references.get(size);
    if (known === undefined) {
      const request = { kind: "reference", ...this.dataOf(size), streams: 200 } as const;
      known = this.host.run(request);
      this.#references.set(size, known);
    }
    return known;
  }

  /** The size for a subject: those that are too slow get the small one. */
  sizeFor({ small }: SubjectInfo, size: Size): Size {
    return small ? "small" : size;
  }

  /** A name that no database has yet. */
  freshName(subject: SubjectId): string {
    this.#databases += 1;
    return `${DATABASE_PREFIX}${subject}-${this.#databases}`;
  }

  async fillRequest(
    subject: SubjectId,
    size: Size,
    database: string,
    snapshots = true,
  ): Promise<Extract<Request, { kind: "fill" }>> {
    const { digest: expected } = await this.reference(size);
    return { kind: "fill", subject, database, ...this.dataOf(size), expected, snapshots };
  }

  /** The name of a database of this subject that holds so many events; made at the first call. */
  filled(subject: SubjectId, size: Size): Promise<string> {
    const key = `${subject} ${size}`;
    let known = this.#prepared.get(key);
    if (known === undefined) {
      known = this.#fill(subject, size);
      this.#prepared.set(key, known);
    }
    return known;
  }

  async #fill(subject: SubjectId, size: Size): Promise<string> {
    this.say(`preparing ${this.eventsOf(size).toLocaleString("en")} events in ${subject}`);
    const database = this.freshName(subject);
    await this.host.run(await this.fillRequest(subject, size, database));
    return database;
  }

  /** Takes a database that a measurement filled, so that it need not be made again. */
  keepFilled(subject: SubjectId, size: Size, database: string): void {
    this.#prepared.set(`${subject} ${size}`, Promise.resolve(database));
  }

  async clean(part = DATABASE_PREFIX): Promise<void> {
    await this.host.run({ kind: "clean", part });
  }
}
