import type { ParkedCommit, RecordedEvent } from "tidelog";
import { describe, expect, test } from "vitest";
import type { Todo } from "./todo.ts";
import { byCreation, hashToFilter, rowsToView, type TodoRow } from "./view.ts";
import {
  authorToWords,
  conflictsToWords,
  eventsToSentences,
  reasonToWords,
  titleAt,
} from "./words.ts";

function row(key: string, state: Partial<Todo> = {}, createdAt = 1): TodoRow {
  const common = { version: 1, sync: "synced", updatedAt: 1, lastType: "todo.added" } as const;
  return {
    key,
    createdAt,
    state: { title: key, done: false, removed: false, ...state },
    ...common,
  };
}

function event(version: number, name: string, title?: string, actor?: string): RecordedEvent {
  return {
    stream: "todo/1",
    key: "1",
    type: `todo.${name}`,
    version,
    schema: 1,
    occurredAt: 1,
    commitId: "c",
    data: title === undefined ? {} : { title },
    ...(actor === undefined ? {} : { actor }),
  };
}

describe("the view", () => {
  const rows = [row("a"), row("b", { done: true }), row("c", { removed: true })];
  const keys = (list: readonly TodoRow[]) => list.map(({ key }) => key);

  test("leaves removed todos out and filters by route", () => {
    expect(keys(rowsToView(rows, "all").shown)).toEqual(["a", "b"]);
    expect(keys(rowsToView(rows, "active").shown)).toEqual(["a"]);
    expect(keys(rowsToView(rows, "completed").shown)).toEqual(["b"]);
  });

  test("counts all, whatever the route shows", () => {
    const { all, active, completed } = rowsToView(rows, "completed");
    expect([all.length, active.length, completed.length]).toEqual([2, 1, 1]);
  });

  test("knows the three routes and takes the rest as the first", () => {
    expect(["", "#/", "#/active", "#/completed", "#/x"].map(hashToFilter)).toEqual([
      "all",
      "all",
      "active",
      "completed",
      "all",
    ]);
  });

  test("orders by creation, then by key", () => {
    const sorted = [row("z", {}, 2), row("b"), row("a")].sort(byCreation);
    expect(keys(sorted)).toEqual(["a", "b", "z"]);
  });
});

describe("a conflict in words", () => {
  test("names the title before and each one after", () => {
    const events = [event(2, "renamed", "Oat milk"), event(3, "completed")];
    expect(eventsToSentences(events, "Milk", () => "You")).toEqual([
      "You renamed “Milk” to “Oat milk”.",
      "You marked “Oat milk” as done.",
    ]);
  });

  test("does without the title before", () => {
    const [sentence] = eventsToSentences([event(2, "removed")], undefined, () => "Someone else");
    expect(sentence).toBe("Someone else removed this todo.");
  });

  test("tells the user's other devices from other people", () => {
    expect(authorToWords(event(2, "removed", undefined, "ann"), "ann")).toContain("another device");
    expect(authorToWords(event(2, "removed", undefined, "bob"), "ann")).toBe("Someone else");
    expect(authorToWords(event(2, "removed", undefined, "anonymous"), "anonymous")).toBe(
      "Someone else",
    );
  });

  test("finds the title that both sides built on", () => {
    const history = [
      event(1, "added", "Milk"),
      event(2, "completed"),
      event(3, "renamed", "Bread"),
    ];
    expect(titleAt(history, 2)).toBe("Milk");
    expect(titleAt(history, 3)).toBe("Bread");
    expect(titleAt([], 1)).toBeUndefined();
    const { data: _, ...gone } = event(3, "renamed", "Bread");
    expect(titleAt([...history.slice(0, 2), { ...gone, erased: true }], 3)).toBe("Milk");
  });

  test("tells what was erased, and who closed a todo", () => {
    const { data: _, ...gone } = event(2, "renamed", "Bread");
    const closing = { ...event(4, "x"), type: "tidelog.tombstoned" };
    const redaction = { ...event(3, "x"), type: "tidelog.redacted" };
    const events = [{ ...gone, erased: true } as const, redaction, closing];
    expect(eventsToSentences(events, "Milk", () => "Someone else")).toEqual([
      "Someone else wrote something about “Milk” that was erased since.",
      "Someone else erased what had been written about “Milk”.",
      "Someone else closed “Milk” for good.",
    ]);
    const reason = {
      code: "rejected",
      cause: "stream_tombstoned",
      message: "the stream is closed",
      conflicts: [],
    } as const;
    const parked: ParkedCommit = { id: "c", reason, mine: [], theirs: [], occurredAt: 1 };
    expect(reasonToWords(parked)).toContain("closed for good");
  });

  test("shows expected and actual version", () => {
    const conflicts = [{ stream: "todo/1", expected: 2, actual: 3 }] as const;
    const reason = { code: "conflict", message: "", conflicts } as const;
    const parked: ParkedCommit = { id: "c", reason, mine: [], theirs: [], occurredAt: 1 };
    expect(conflictsToWords(parked)).toBe("Expected version 2, found version 3.");
  });
});
