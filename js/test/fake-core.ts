/**
 * An in-memory device behind the wasm border, for tests only: it keeps a log, a queue and parked commits
 * as the real core does, and lets a test say when a write completes, what the server confirms and what
 * others appended. It survives "reloads": open it again for another core over the same data.
 */

import { kindOf } from "../src/batch.js";
import {
  type Appended,
  type Batch,
  type BatchPage,
  type CoreCommand,
  type CoreDecision,
  type CoreError,
  type CoreFactory,
  type CoreOptions,
  type CoreStatus,
  type CoreStorage,
  type Draft,
  EXPECT_ANY,
  EXPECT_EXISTS,
  type FoldSnapshot,
  type ImportBatch,
  type Imported,
  type LogCore,
  type Notice,
  type Outcome,
  type ParkedEvent,
  type ParkedInfo,
  POLICIES,
  type QueuedCommit,
  type QueueEntry,
} from "../src/border.js";
import { newId } from "../src/ids.js";
import type { Expected, ParkedReason } from "../src/types.js";
import { type Recorded, toBatch, toStreamBatch } from "./columns.js";
import { framesOf, parseFrames } from "./fake-frames.js";

/** Of whatever the fake device has erased. */
export const DIGEST = "0a".repeat(32);

export interface FakeEvent {
  readonly stream: string;
  readonly type: string;
  readonly data: unknown;
  readonly schema?: number;
}

/** A fold's snapshot as the fake device keeps it. */
export interface Saved extends Omit<FoldSnapshot, "changed" | "whole"> {
  readonly position: number;
  readonly texts: ReadonlyMap<number, string>;
}

interface Pending {
  draft: Draft;
  attempt: number;
  state: QueueEntry["state"];
}

export class FakeDevice {
  readonly log: Recorded[] = [];
  pending: Pending[] = [];
  parked: ParkedInfo[] = [];
  core: FakeCore | undefined;
  opens = 0;
  /** Set: the next `open` rejects with it. */
  openError: CoreError | undefined;
  /** Commits in one batch at most. */
  batchSize = 1000;
  /** By fold. The replica's own heads stand at `heads`. */
  snapshots = new Map<string, Saved>();
  heads = 0;
  /** Set: a save waits for what is confirmed meanwhile, or is refused. */
  beforeSave: () => void = () => undefined;
  refuseSave = false;
  /** A transaction is under way, so nothing is saved. */
  writing = false;
  /** Positions up to here are on the server only. */
  pruned = 0;
  online = true;
  /** Number of reads of the log, and calls of `persist`. */
  reads = 0;
  persistCalls = 0;

  readonly factory: CoreFactory = async (options) => {
    this.opens++;
    this.core = new FakeCore(this, options);
    return this.core;
  };

  get position(): number {
    const last = this.log.at(-1);
    return last ? last.first + last.events.length - 1 : 0;
  }

  version(stream: string): number {
    for (let i = this.log.length - 1; i >= 0; i--) {
      const last = this.log[i]?.events.findLast((event) => event.stream === stream);
      if (last) return last.version;
    }
    return 0;
  }

  /** Adds confirmed commits by someone else, without telling anyone. */
  seed(...commits: readonly (readonly FakeEvent[])[]): Recorded[] {
    return commits.map((events) =>
      this.record(
        newId(),
        1_000 + this.log.length,
        events.map((event) => ({
          stream: event.stream,
          type: event.type,
          schema: event.schema ?? 1,
          data: JSON.stringify(event.data),
        })),
      ),
    );
  }

  /** A server erases payloads, and so does this device. */
  erase(stream: string, versions: readonly number[]): void {
    const [redaction] = this.seed([
      {
        stream,
        type: "tidelog.redacted",
        data: { versions: versions.map((version) => [version, version]), reason: "asked for" },
      },
    ]);
    for (const { events } of this.log) {
      for (const event of events) {
        if (event.stream === stream && versions.includes(event.version)) event.erased = DIGEST;
      }
    }
    this.snapshots.clear();
    this.heads = 0;
    if (this.core === undefined || redaction === undefined) return;
    this.core.notify({ kind: "batch", batch: toBatch([redaction]), settled: [] });
    this.core.notify({ kind: "erased" });
  }

  record(
    id: string,
    occurredAt: number,
    events: readonly Omit<Recorded["events"][number], "version">[],
  ): Recorded {
    const first = this.position + 1;
    const next = new Map<string, number>();
    const recorded: Recorded = {
      id,
      first,
      occurredAt,
      recordedAt: 1_000_000 + first,
      actor: "someone",
      events: events.map((event) => {
        const version = (next.get(event.stream) ?? this.version(event.stream)) + 1;
        next.set(event.stream, version);
        return { ...event, version };
      }),
    };
    this.log.push(recorded);
    return recorded;
  }
}

export class FakeCore implements LogCore {
  readonly device: FakeDevice;
  readonly options: CoreOptions;
  readonly answers: { id: string; answer: CoreDecision }[] = [];
  #questions = 0;
  /** What is asked next: one question stands at a time. */
  readonly #toAsk: (() => Notice)[] = [];
  #asked = false;
  readonly notices: Notice[] = [];
  /** Set: the next `append` throws it. */
  appendError: CoreError | undefined;
  #closed = false;
  /** What the mirror was told of the queue. */
  #told: readonly QueueEntry[] = [];
  #borrowed = false;

  constructor(device: FakeDevice, options: CoreOptions) {
    this.device = device;
    this.options = options;
  }

  async open(): Promise<void> {
    await Promise.resolve();
    const error = this.device.openError;
    this.device.openError = undefined;
    if (error) throw error;
    const { batchSize, heads } = this.device;
    if (this.options.snapshots) this.#sayFolds();
    const start = this.options.snapshots ? heads : 0;
    const log = this.device.log.filter((commit) => lastOf(commit) > start);
    for (let i = 0; i < log.length; i += batchSize) {
      this.notify({
        kind: "batch",
        batch: toBatch(log.slice(i, i + batchSize), Math.max(0, start + 1 - (log[i]?.first ?? 0))),
        settled: [],
      });
    }
    this.notify({ kind: "queue" });
  }

  newCommitId(): string {
    return newId();
  }

  append(draft: Draft): Appended {
    return this.#borrow(() => {
      if (this.#closed) throw { code: "closed", message: "closed" };
      if (this.appendError) {
        const error = this.appendError;
        this.appendError = undefined;
        throw error;
      }
      for (const { stream, expected } of draft.conditions) {
        const actual = this.version(stream);
        const holds =
          expected === "any" ||
          (expected === "noStream"
            ? actual === 0
            : expected === "exists"
              ? actual > 0
              : actual === expected);
        if (!holds) {
          throw { code: "version_conflict", message: "conflict", stream, expected, actual };
        }
      }
      const versions = this.#versionsOf(draft, (stream) => this.version(stream));
      this.device.pending.push({ draft, attempt: 1, state: "local" });
      this.#told = [...this.#told, { id: draft.id, attempt: 1, state: "local" }];
      return { versions };
    });
  }

  poll(): Notice | undefined {
    return this.#borrow(() => {
      const notice = this.notices.shift();
      if (notice?.kind === "batch") {
        this.#told = this.#told.filter(({ id }) => !notice.settled.includes(id));
      }
      return notice;
    });
  }

  queue(): readonly QueueEntry[] {
    return this.device.pending.map(({ draft, attempt, state }) => ({
      id: draft.id,
      attempt,
      state,
    }));
  }

  queueChanges(known: number): { from: number; entries: readonly QueueEntry[] } {
    const entries = this.queue();
    const told = known === this.#told.length ? this.#told : [];
    const changed = entries.findIndex(
      ({ id, attempt }, i) => told[i]?.id !== id || told[i]?.attempt !== attempt,
    );
    const from = changed < 0 ? entries.length : changed;
    this.#told = entries;
    return { from, entries: entries.slice(from) };
  }

  commit(id: string): QueuedCommit | undefined {
    const before = new Map<string, number>();
    for (const { draft, attempt } of this.device.pending) {
      const versions = this.#versionsOf(
        draft,
        (stream) => before.get(stream) ?? this.device.version(stream),
      );
      const events = draft.events.map((event, i) => ({ ...event, version: versions[i] ?? 0 }));
      for (const event of events) before.set(event.stream, event.version);
      if (draft.id === id) return { id, attempt, occurredAt: draft.occurredAt, events };
    }
    return undefined;
  }

  queuedVersions(id: string): readonly number[] | undefined {
    return this.commit(id)?.events.map(({ version }) => version);
  }

  decideFlat(
    id: string,
    question: number,
    occurredAt: number,
    stream: string,
    type: string,
    schema: number,
    data: string,
  ): void {
    this.decide(id, question, { events: [{ stream, type, schema, data }], reads: [], occurredAt });
  }

  decide(id: string, question: number, answer: CoreDecision): void {
    this.#borrow(() => {
      if (question !== this.#questions || !this.#asked) return;
      this.#asked = false;
      this.answers.push({ id, answer });
      const pending = this.device.pending.find(({ draft }) => draft.id === id);
      const parked = this.device.parked.find((info) => info.id === id);
      if ("events" in answer) {
        if (pending) {
          const conditions = this.#conditionsOf(pending, answer.reads);
          pending.draft = { ...pending.draft, conditions, events: answer.events };
          pending.attempt++;
        } else if (parked) {
          this.#unpark(id);
          const requeued = requeue(parked);
          requeued.draft = { ...requeued.draft, events: answer.events };
          this.device.pending.push(requeued);
        }
      } else if (pending) {
        if ("refused" in answer) {
          const { code, message } = answer.refused;
          this.#park(pending, { code: "refused", cause: code, message, conflicts: [] });
        } else if ("ask" in answer) {
          this.#park(pending, { code: "conflict", message: "conflict", conflicts: [] });
        } else {
          this.#park(pending, { code: "unknown_command", message: "gone", conflicts: [] });
        }
      }
      if (this.#toAsk.length === 0) this.notify({ kind: "queue" });
      this.#ask();
    });
  }

  queuedBefore(id: string, stream: string): readonly ParkedEvent[] {
    return this.#borrow(() => {
      const all = this.device.pending;
      const end = all.findIndex(({ draft }) => draft.id === id);
      return all.slice(0, end < 0 ? all.length : end).flatMap(({ draft }) =>
        draft.events
          .filter((event) => event.stream === stream)
          .map((event) => ({
            ...event,
            version: 0,
            occurredAt: draft.occurredAt,
            commitId: draft.id,
          })),
      );
    });
  }

  keeps(stream: string): boolean {
    const { only } = this.options;
    return (
      only === undefined || only.split("\n").some((name) => [stream, kindOf(stream)].includes(name))
    );
  }

  version(stream: string): number {
    const pending = this.device.pending.flatMap(({ draft }) => draft.events);
    return this.device.version(stream) + pending.filter((event) => event.stream === stream).length;
  }

  appendFlat(
    id: string,
    occurredAt: number,
    policy: number,
    expected: number,
    stream: string,
    type: string,
    schema: number,
    data: string,
    name: string | undefined,
    args: string | undefined,
  ): number {
    const { versions } = this.append({
      id,
      occurredAt,
      policy: POLICIES[policy] ?? "ask",
      conditions: [{ stream, expected: numberToExpected(expected) }],
      events: [{ stream, type, schema, data }],
      ...(name === undefined || args === undefined ? {} : { command: { stream, name, args } }),
    });
    return versions[0] ?? 0;
  }

  async readLog(from: number, to: number, backward: boolean): Promise<BatchPage> {
    this.device.reads++;
    await Promise.resolve();
    this.#reach(from);
    const held = this.device.log.filter((commit) => lastOf(commit) >= from && commit.first <= to);
    const size = this.device.batchSize;
    const page = backward ? held.slice(-size) : held.slice(0, size);
    return {
      batches: page.length > 0 ? [toBatch(page)] : [],
      more: page.length < held.length,
    };
  }

  async readStream(
    stream: string,
    from: number,
    to: number,
    backward: boolean,
    limit: number,
  ): Promise<BatchPage> {
    this.device.reads++;
    await Promise.resolve();
    const held = this.device.log.filter(({ events }) =>
      events.some(
        (event) => event.stream === stream && event.version >= from && event.version <= to,
      ),
    );
    for (const { first } of held) this.#reach(first);
    const size = Math.min(limit, this.device.batchSize);
    const page = backward ? held.slice(-size) : held.slice(0, size);
    const batches = page.map((commit) => toStreamBatch([commit], stream));
    return { batches: backward ? batches.reverse() : batches, more: page.length < held.length };
  }

  async positionAt(millis: number): Promise<number> {
    const before = this.device.log.filter((commit) => commit.recordedAt <= millis).at(-1);
    return before ? lastOf(before) : 0;
  }

  async framesFrom(position: number): Promise<Uint8Array | undefined> {
    this.#reach(position);
    const held = this.device.log.filter((commit) => lastOf(commit) >= position);
    return held.length > 0 ? framesOf(held.slice(0, this.device.batchSize)) : undefined;
  }

  async unconfirmed(): Promise<Uint8Array> {
    return framesOf(
      this.device.pending.map(({ draft }) => ({
        id: draft.id,
        first: 0,
        occurredAt: draft.occurredAt,
        recordedAt: 0,
        actor: undefined,
        events: draft.events.map((event) => ({ ...event, version: 0 })),
      })),
    );
  }

  async lost(): Promise<Uint8Array> {
    return new Uint8Array();
  }

  /** What an earlier history held. */
  lostOnes: readonly Batch[] = [];

  async lostBatches(): Promise<BatchPage> {
    return { batches: this.lostOnes, more: false };
  }

  async importEvents(batch: ImportBatch): Promise<Imported> {
    await Promise.resolve();
    if (this.#closed) throw { code: "closed", message: "closed" };
    let event = 0;
    const recorded = Array.from(batch.commitEnd, (end) => {
      const events = [];
      for (; event < end; event++) {
        const extras = batch.extras?.find((each) => each.event === event);
        events.push({
          stream: batch.streams[batch.stream[event] ?? 0] ?? "",
          type: batch.types[batch.type[event] ?? 0] ?? "",
          schema: batch.schema[event] ?? 0,
          data: batch.data.slice(event ? (batch.ends[event - 1] ?? 0) + 1 : 0, batch.ends[event]),
          occurredAt: batch.occurredAt[event] ?? 0,
          ...(extras?.tags && { tags: extras.tags }),
          ...(extras?.meta && { meta: extras.meta }),
          ...(extras?.erased && { erased: extras.erased }),
        });
      }
      return this.device.record(newId(), 0, events);
    });
    for (const commit of recorded) {
      this.notify({ kind: "batch", batch: toBatch([commit]), settled: [] });
    }
    return { events: event, commits: recorded.length };
  }

  async importFrames(bytes: Uint8Array): Promise<Imported & { readonly skipped: number }> {
    await Promise.resolve();
    const all = parseFrames(bytes);
    const fresh = all.filter(({ id }) => !this.device.log.some((commit) => commit.id === id));
    if (fresh[0] && fresh[0].first !== this.device.position + 1) {
      throw { code: "import_mismatch", message: "it does not continue the log" };
    }
    for (const commit of fresh) {
      this.device.log.push(commit);
      this.notify({ kind: "batch", batch: toBatch([commit]), settled: [] });
    }
    const events = fresh.reduce((sum, commit) => sum + commit.events.length, 0);
    return { events, commits: fresh.length, skipped: all.length - fresh.length };
  }

  snapshotDue(): number {
    return this.device.position - this.device.heads >= 1000 ? this.snapshotNow() : 0;
  }

  async atRest(): Promise<void> {
    this.device.writing = false;
  }

  snapshotNow(): number {
    if (this.device.writing) return 0;
    return this.options.snapshots ? this.device.position : 0;
  }

  async saveSnapshot(position: number, folds: readonly FoldSnapshot[]): Promise<boolean> {
    const { device } = this;
    device.beforeSave();
    await Promise.resolve();
    if (device.refuseSave || position !== device.position) return false;
    for (const { name, version, buckets, whole, changed } of folds) {
      const old = whole ? [] : (device.snapshots.get(name)?.texts ?? []);
      const texts = new Map([
        ...old,
        ...changed.map(({ bucket, data }) => [bucket, data] as const),
      ]);
      device.snapshots.set(name, { name, version, buckets, position, texts });
    }
    device.heads = position;
    return true;
  }

  async compact(): Promise<{ readonly sealed: number }> {
    return { sealed: 1 };
  }

  async forgetSnapshots(): Promise<void> {
    this.device.snapshots.clear();
    this.device.heads = 0;
  }

  async storage(): Promise<CoreStorage> {
    const { position, pruned } = this.device;
    return {
      events: position - pruned,
      oldest: position > pruned ? pruned + 1 : 0,
      frames: this.device.log.length,
      segments: 0,
      quarantined: 0,
      lost: 0,
      bytes: 100 * position,
      gaps: pruned > 0 ? [{ from: 1, to: pruned, reason: "retention" }] : [],
      only: this.options.only ?? "",
      leftOut: 0,
    };
  }

  async persist(): Promise<boolean> {
    this.device.persistCalls++;
    return true;
  }

  async verify(from: number): Promise<{ readonly position: number; readonly done: boolean }> {
    await Promise.resolve();
    const held = this.device.log.filter((commit) => lastOf(commit) >= from);
    const next = held[0];
    const bad = next?.events.find((event) => event.data === "tampered");
    if (next && bad) throw { code: "log_tampered", message: "tampered", position: next.first };
    return { position: next ? lastOf(next) : from - 1, done: held.length <= 1 };
  }

  async parked(): Promise<readonly ParkedInfo[]> {
    return this.device.parked;
  }

  async retry(id: string): Promise<void> {
    const { command, occurredAt } = this.#parked(id);
    if (command) this.#rerun(id, 1, occurredAt, command);
    else await this.rebase(id);
  }

  async rebase(id: string): Promise<void> {
    this.device.pending.push(requeue(this.#unpark(id)));
    this.notify({ kind: "queue" });
  }

  async discard(id: string): Promise<void> {
    this.#unpark(id);
  }

  async replace(id: string, { events }: { readonly events: Draft["events"] }): Promise<void> {
    const requeued = requeue(this.#unpark(id));
    requeued.draft = { ...requeued.draft, events };
    this.device.pending.push(requeued);
    this.notify({ kind: "queue" });
  }

  async outcome(id: string): Promise<Outcome> {
    const recorded = this.device.log.find((commit) => commit.id === id);
    if (recorded) {
      return { state: "confirmed", position: recorded.first + recorded.events.length - 1 };
    }
    if (this.device.parked.some((info) => info.id === id)) return { state: "parked" };
    const pending = this.device.pending.find(({ draft }) => draft.id === id);
    if (pending === undefined) return { state: "absent" };
    return { state: pending.state === "local" ? "local" : "durable" };
  }

  status(): CoreStatus {
    return {
      phase: this.#closed ? "closed" : this.options.url ? "live" : "local",
      position: this.device.position,
      head: this.device.position,
      pending: this.device.pending.length,
      parked: this.device.parked.length,
      leader: true,
    };
  }

  /** How often it was to look again. */
  kicks = 0;

  kick(): void {
    this.kicks += 1;
  }

  async close(): Promise<void> {
    this.write();
    this.#closed = true;
  }

  // What a test makes happen.

  notify(...notices: readonly Notice[]): void {
    this.notices.push(...notices);
    this.options.wake();
  }

  /** IndexedDB completed the write of everything appended so far. */
  write(): void {
    for (const pending of this.device.pending) {
      if (pending.state !== "local") continue;
      pending.state = "pending";
      this.notify({ kind: "receipt", id: pending.draft.id, state: "durable" });
    }
    this.notify({ kind: "queue" });
  }

  /** The write failed: the commits leave memory. */
  failWrite(error: CoreError): void {
    const failed = this.device.pending.filter(({ state }) => state === "local");
    this.device.pending = this.device.pending.filter(({ state }) => state !== "local");
    for (const { draft } of failed) {
      this.notify({ kind: "receipt", id: draft.id, state: "failed", error });
    }
    this.notify({ kind: "queue" });
  }

  /** The log begins again behind the snapshots, as when another tab pruned what this one has not read. */
  beginAgain(): void {
    this.notify({ kind: "reset", reason: "storage", after: this.device.heads });
    this.#sayFolds();
    const log = this.device.log.filter((commit) => lastOf(commit) > this.device.heads);
    if (log.length > 0) this.notify({ kind: "batch", batch: toBatch(log), settled: [] });
  }

  /** The server took the whole queue, and it was pulled back. */
  confirm(): void {
    for (const { draft } of this.device.pending.splice(0)) {
      const recorded = this.device.record(draft.id, draft.occurredAt, draft.events);
      this.notify(
        { kind: "batch", batch: toBatch([recorded]), settled: [draft.id] },
        { kind: "receipt", id: draft.id, state: "confirmed", position: recorded.first },
      );
    }
    this.notify({ kind: "queue" }, { kind: "status" });
  }

  /** Others' commits were pulled. Pending commits on the same streams follow their policy. */
  pull(...commits: readonly (readonly FakeEvent[])[]): void {
    const recorded = this.device.seed(...commits);
    const touched = new Set(recorded.flatMap(({ events }) => events.map((event) => event.stream)));
    this.notify({ kind: "batch", batch: toBatch(recorded), settled: [] });
    for (const pending of [...this.device.pending]) {
      const { draft } = pending;
      const conflict = draft.conditions.find(
        ({ stream, expected }) =>
          touched.has(stream) && expected !== "any" && expected !== "exists",
      );
      if (conflict === undefined) continue;
      if (draft.policy === "rerun" && draft.command) {
        const { id, occurredAt, command } = draft;
        this.#rerun(id, pending.attempt, occurredAt, command);
      } else if (draft.policy === "merge") {
        const { id, occurredAt, events } = draft;
        const { stream, expected } = conflict;
        const from = (typeof expected === "number" ? expected : 0) + 1;
        this.#ask(() => ({
          kind: "merge",
          id,
          question: ++this.#questions,
          attempt: pending.attempt + 1,
          occurredAt,
          events: events.map((event) => ({ ...event, version: 0 })),
          collisions: [{ stream, from, to: this.device.version(stream) }],
        }));
      } else if (draft.policy === "rebase") {
        pending.attempt++;
      } else {
        const { stream, expected } = conflict;
        const actual = this.device.version(stream);
        const from = (typeof expected === "number" ? expected : 0) + 1;
        this.#park(
          pending,
          { code: "conflict", message: "conflict", conflicts: [{ stream, expected, actual }] },
          recorded
            .flatMap(toParkedEvents)
            .filter((event) => event.stream === stream && event.version >= from),
        );
      }
    }
    this.notify({ kind: "queue" }, { kind: "status" });
  }

  /** What a commit expects that was decided again: its command's stream and what that read, as they are now. */
  #conditionsOf({ draft }: Pending, reads: readonly string[] | undefined): Draft["conditions"] {
    const { conditions, command } = draft;
    if (reads === undefined || command === undefined) return conditions;
    const all = this.device.pending;
    const before = all.slice(
      0,
      all.findIndex((pending) => pending.draft === draft),
    );
    const written = before.flatMap((pending) => pending.draft.events);
    return [command.stream, ...reads].map((stream) => {
      const queued = written.filter((event) => event.stream === stream).length;
      const version = this.device.version(stream) + queued;
      return { stream, expected: version === 0 ? "noStream" : version };
    });
  }

  #rerun(id: string, attempt: number, occurredAt: number, command: CoreCommand): void {
    this.#ask(() => {
      const before = this.#endBefore(id, command.stream);
      const question = ++this.#questions;
      const notice = { kind: "rerun", id, question, attempt: attempt + 1, occurredAt } as const;
      return { ...notice, ...command, ...(before ? { before } : {}) };
    });
  }

  /** The event that a stream ends with before a commit of the queue. */
  #endBefore(id: string, stream: string): string | undefined {
    const writes = (events: readonly { stream: string }[]) =>
      events.findLastIndex((event) => event.stream === stream);
    const all = this.device.pending;
    const end = all.findIndex(({ draft }) => draft.id === id);
    const last = all
      .slice(0, end < 0 ? all.length : end)
      .findLast(({ draft }) => writes(draft.events) >= 0);
    if (last) return `${last.draft.id}/${last.attempt}/${writes(last.draft.events)}`;
    const recorded = this.device.log.findLast(({ events }) => writes(events) >= 0);
    return recorded && `${recorded.id}/1/${writes(recorded.events)}`;
  }

  #ask(notice?: () => Notice): void {
    if (notice) this.#toAsk.push(notice);
    if (this.#asked) return;
    const next = this.#toAsk.shift();
    if (next === undefined) return;
    this.#asked = true;
    this.notify(next());
  }

  #sayFolds(): void {
    for (const { name, version } of this.options.folds) {
      const saved = this.device.snapshots.get(name);
      if (saved?.version !== version) continue;
      const { position } = saved;
      const texts = [...saved.texts.values()];
      const half = Math.ceil(texts.length / 2);
      const [first, rest] = [texts.slice(0, half), texts.slice(half)];
      const common = { kind: "snapshot", name, version, position } as const;
      this.notify(
        { ...common, buckets: first, last: false },
        { ...common, buckets: rest, last: true },
      );
    }
  }

  #reach(position: number): void {
    if (position <= this.device.pruned && !this.device.online) {
      throw { code: "history_not_available", message: "offline" };
    }
  }

  #park({ draft }: Pending, reason: ParkedReason, theirs: readonly ParkedEvent[] = []): void {
    const { id, occurredAt, command } = draft;
    this.device.pending = this.device.pending.filter((pending) => pending.draft !== draft);
    const mine = draft.events.map((event) => ({ ...event, version: 0, commitId: id, occurredAt }));
    this.device.parked.push({
      id,
      occurredAt,
      reason,
      mine,
      theirs,
      ...(command ? { command } : {}),
    });
    this.notify({ kind: "receipt", id, state: "parked" }, { kind: "parked" });
  }

  #parked(id: string): ParkedInfo {
    const info = this.device.parked.find((info) => info.id === id);
    if (info === undefined) throw { code: "not_parked", message: "not parked" };
    return info;
  }

  #unpark(id: string): ParkedInfo {
    const info = this.#parked(id);
    this.device.parked = this.device.parked.filter((parked) => parked !== info);
    this.notify({ kind: "parked" });
    return info;
  }

  #versionsOf(draft: Draft, versionOf: (stream: string) => number): number[] {
    const next = new Map<string, number>();
    return draft.events.map(({ stream }) => {
      const version = (next.get(stream) ?? versionOf(stream)) + 1;
      next.set(stream, version);
      return version;
    });
  }

  /** As wasm-bindgen does: a call from inside a call is a panic. */
  #borrow<T>(run: () => T): T {
    if (this.#borrowed) throw new Error("recursive use of an object");
    this.#borrowed = true;
    try {
      return run();
    } finally {
      this.#borrowed = false;
    }
  }
}

function lastOf({ first, events }: Recorded): number {
  return first + events.length - 1;
}

function numberToExpected(number: number): Expected {
  if (number === EXPECT_ANY) return "any";
  if (number === EXPECT_EXISTS) return "exists";
  return number === 0 ? "noStream" : number;
}

/** A parked commit, back at the end of the queue. */
function requeue({ id, occurredAt, command, mine }: ParkedInfo): Pending {
  const draft: Draft = {
    id,
    occurredAt,
    conditions: [],
    events: mine,
    policy: "rebase",
    ...(command ? { command } : {}),
  };
  return { draft, attempt: 2, state: "local" };
}

function toParkedEvents(commit: Recorded): ParkedEvent[] {
  const { id, occurredAt, recordedAt, first } = commit;
  return commit.events.map((event, i) => ({
    ...event,
    commitId: id,
    occurredAt,
    recordedAt,
    position: first + i,
  }));
}
