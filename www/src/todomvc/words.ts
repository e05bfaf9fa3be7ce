/** Parked commits in plain words. */
import type { ParkedCommit, RecordedEvent } from "tidelog";

/** What happened, as the end of a sentence that starts with who. */
export function eventToWords(event: RecordedEvent, titleBefore: string | undefined): string {
  const what = titleBefore === undefined ? "this todo" : quote(titleBefore);
  if (event.erased) return `wrote something about ${what} that was erased since`;
  switch (event.type) {
    case "todo.added":
      return `added ${quote(titleOf(event))}`;
    case "todo.renamed":
      return `renamed ${what} to ${quote(titleOf(event))}`;
    case "todo.completed":
      return `marked ${what} as done`;
    case "todo.reopened":
      return `marked ${what} as not done`;
    case "todo.removed":
      return `removed ${what}`;
    case "tidelog.redacted":
      return `erased what had been written about ${what}`;
    case "tidelog.tombstoned":
      return `closed ${what} for good`;
    default:
      return `did something that this version of the app does not know (${event.type})`;
  }
}

/** Sentences for a run of events; each rename changes what the next sentence calls the todo. */
export function eventsToSentences(
  events: readonly RecordedEvent[],
  titleBefore: string | undefined,
  who: (event: RecordedEvent) => string,
): readonly string[] {
  let title = titleBefore;
  return events.map((event) => {
    const sentence = `${who(event)} ${eventToWords(event, title)}.`;
    if (givesTitle(event)) title = titleOf(event);
    return sentence;
  });
}

/** Who wrote a confirmed event, for the user of this page. */
export function authorToWords(event: RecordedEvent, user: string): string {
  return user !== "anonymous" && event.actor === user ? "You, on another device," : "Someone else";
}

/** The title that the stream had at a version; undefined if the history does not reach it. */
export function titleAt(history: readonly RecordedEvent[], version: number): string | undefined {
  let title: string | undefined;
  for (const event of history) {
    if (event.version > version) break;
    if (givesTitle(event)) title = titleOf(event);
  }
  return title;
}

function givesTitle({ type, erased }: RecordedEvent): boolean {
  return !erased && (type === "todo.renamed" || type === "todo.added");
}

/** Why it waits for somebody. */
export function reasonToWords(commit: ParkedCommit): string {
  const { code, cause, message } = commit.reason;
  if (code === "conflict") return conflictsToWords(commit);
  if (cause === "stream_tombstoned") {
    return "Not accepted: this todo was closed for good, and takes no more changes.";
  }
  return `Not accepted: ${message}`;
}

/** `Expected version 2, found version 3.` — nothing if versions are not the reason. */
export function conflictsToWords({ reason }: ParkedCommit): string {
  return reason.conflicts
    .map(({ expected, actual }) => {
      const hoped = typeof expected === "number" ? `version ${expected}` : EXPECTATIONS[expected];
      return `Expected ${hoped}, found ${actual === 0 ? "nothing" : `version ${actual}`}.`;
    })
    .join(" ");
}

const EXPECTATIONS = { any: "any version", noStream: "a new todo", exists: "a todo" } as const;

function titleOf(event: RecordedEvent): string {
  const { data } = event;
  if (typeof data !== "object" || data === null || !("title" in data)) return "";
  return String(data.title);
}

function quote(title: string): string {
  return `“${title}”`;
}
