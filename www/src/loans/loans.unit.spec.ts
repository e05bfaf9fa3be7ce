import { describe, expect, test } from "vitest";
import { type Application, application, foldStep, splitName } from "./application.ts";
import { keyToIndex } from "./list.tsx";
import { hashToKey, keyToHash } from "./route.ts";
import { type ApplicationRow, searchRows, statusToWords, summarise } from "./summary.ts";

function fold(...names: readonly string[]): Application {
  return names.reduce(
    (state, name, i) =>
      foldStep(state, name, 1000 + i, { resource: `11${i % 2}`, amountRequested: 5000 }),
    application.initial,
  );
}

function row(key: string, ...names: readonly string[]): ApplicationRow {
  const common = { sync: "synced", createdAt: 1, updatedAt: 1 } as const;
  return {
    key,
    version: names.length,
    lastType: names.at(-1) ?? "",
    state: fold(...names),
    ...common,
  };
}

const SUBMITTED = "A_SUBMITTED.complete";
const APPROVED = "A_APPROVED.complete";

describe("an application", () => {
  test("takes amount and date from its submission", () => {
    const state = fold(SUBMITTED, "A_PARTLYSUBMITTED.complete");
    expect(state).toMatchObject({ amountRequested: 5000, submittedAt: 1000, events: 2 });
  });

  test("has the last completed A_ step as its status, whatever work came after", () => {
    const state = fold(SUBMITTED, "A_PREACCEPTED.complete", "W_Completeren aanvraag.start");
    expect(state.status).toBe("A_PREACCEPTED");
  });

  test("does not move by a step that is not completed", () => {
    expect(fold(SUBMITTED, "A_APPROVED.schedule").reached).toEqual(["A_SUBMITTED"]);
  });

  test("lists steps and people once, in order", () => {
    const state = fold(SUBMITTED, APPROVED, SUBMITTED, "O_SENT.complete");
    expect(state.reached).toEqual(["A_SUBMITTED", "A_APPROVED"]);
    expect(state.resources).toEqual(["110", "111"]);
  });

  test("keeps a name without a phase whole", () => {
    expect(splitName("A_SUBMITTED")).toEqual(["A_SUBMITTED", ""]);
    expect(splitName("W_Nabellen offertes.start")).toEqual(["W_Nabellen offertes", "start"]);
  });
});

describe("the summary", () => {
  const rows = [
    row("1", SUBMITTED, APPROVED, "A_ACTIVATED.complete"),
    row("2", SUBMITTED),
    row("3", SUBMITTED),
  ];

  test("counts by last status, and as approved whoever ever was", () => {
    expect(summarise(rows)).toEqual({
      applications: 3,
      approved: 1,
      byStatus: [
        { status: "A_SUBMITTED", count: 2 },
        { status: "A_ACTIVATED", count: 1 },
      ],
    });
  });

  test("of nothing is nothing", () => {
    expect(summarise([])).toEqual({ applications: 0, approved: 0, byStatus: [] });
  });

  test("says statuses in words", () => {
    expect(["A_PARTLYSUBMITTED", "A_DECLINED", ""].map(statusToWords)).toEqual([
      "Partly submitted",
      "Declined",
      "Not submitted",
    ]);
  });
});

describe("the search", () => {
  const rows = [row("173688", SUBMITTED, APPROVED), row("173691", SUBMITTED)];
  const keys = (text: string, status?: string) =>
    searchRows(rows, { text, status }).map(({ key }) => key);

  test("finds by id, status and resource, all words", () => {
    expect(keys("3691")).toEqual(["173691"]);
    expect(keys(" approved ")).toEqual(["173688"]);
    expect(keys("111")).toEqual(["173688"]);
    expect(keys("173 110 submitted")).toEqual(["173691"]);
    expect(keys("nobody")).toEqual([]);
  });

  test("keeps only the chosen status", () => {
    expect(keys("", "A_SUBMITTED")).toEqual(["173691"]);
  });

  test("without words is the same list", () => {
    expect(searchRows(rows, { text: "  ", status: undefined })).toBe(rows);
  });
});

describe("the list's keys", () => {
  test("stay inside the list", () => {
    expect(
      ["ArrowUp", "ArrowDown", "PageDown", "Home", "End", "a"].map((k) => keyToIndex(k, 0, 5)),
    ).toEqual([0, 1, 4, 0, 4, undefined]);
  });
});

describe("the route", () => {
  test("round-trips any key", () => {
    for (const key of ["173688", "a/b c%"]) expect(hashToKey(keyToHash(key))).toBe(key);
    expect(hashToKey("")).toBeUndefined();
    expect(hashToKey(keyToHash(undefined))).toBeUndefined();
  });
});
