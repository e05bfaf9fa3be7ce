/** A log as the server has it, read and written over HTTP as any backend would. */
import { randomBytes, randomUUID } from "node:crypto";

/** One event of `GET /v1/logs/{log}/commits`, with what belongs to its commit. */
export interface ServerEvent {
  readonly commitId: string;
  readonly position: number;
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  readonly data: unknown;
}

export interface PushAnswer {
  readonly results: readonly {
    readonly id: string;
    readonly verdict: string;
    readonly positions?: { readonly first: number; readonly last: number };
  }[];
}

interface Server {
  url(path: string): string;
}

/** Every event of a log, in order. */
export async function eventsOf(
  server: Server,
  log: string,
  token?: string,
): Promise<readonly ServerEvent[]> {
  const events: ServerEvent[] = [];
  for (;;) {
    const after = events.at(-1)?.position ?? 0;
    const answer = await fetch(server.url(`/v1/logs/${log}/commits?after=${after}`), {
      headers: { accept: "application/json", ...authorization(token) },
    });
    if (!answer.ok) throw new Error(`pull: ${answer.status} ${await answer.text()}`);
    const { commits } = (await answer.json()) as { commits: readonly RecordedCommit[] };
    if (commits.length === 0) return events;
    for (const commit of commits) {
      for (const event of commit.events) events.push({ ...event, commitId: commit.id });
    }
  }
}

interface RecordedCommit {
  readonly id: string;
  readonly events: readonly Omit<ServerEvent, "commitId">[];
}

/** A replica that speaks plain JSON. */
export class RawWriter {
  readonly #server: Server;
  readonly #log: string;
  readonly #replica = randomUUID();
  #seq = 0;

  constructor(server: Server, log: string) {
    this.#server = server;
    this.#log = log;
  }

  /** A commit that adds one todo, to be pushed as often as it takes. */
  addTodo(title: string) {
    this.#seq += 1;
    const id = uuidV7();
    const stream = `todo/${id}`;
    return {
      id,
      attempt: 1,
      seq: this.#seq,
      conditions: [{ stream, expected: "noStream" }],
      events: [
        {
          stream,
          type: "todo.added",
          schema: 1,
          data: { title },
          occurredAt: new Date().toISOString(),
        },
      ],
    };
  }

  /** Undefined: no answer came, so what happened is not known. */
  async push(commits: readonly object[]): Promise<PushAnswer | undefined> {
    const answer = await fetch(this.#server.url(`/v1/logs/${this.#log}/commits`), {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ replica: this.#replica, cursor: NO_CURSOR, commits }),
    }).catch(() => undefined);
    if (answer === undefined) return undefined;
    const text = await answer.text().catch(() => undefined);
    if (text === undefined) return undefined;
    if (!answer.ok) throw new Error(`push: ${answer.status} ${text}`);
    return JSON.parse(text) as PushAnswer;
  }
}

/** Of a replica that has read nothing. */
export const NO_CURSOR = `${"0".repeat(8)}-0000-0000-0000-${"0".repeat(12)}:0:${"0".repeat(64)}`;

export function authorization(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** RFC 9562: 48 bits of time, then random. */
export function uuidV7(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}
