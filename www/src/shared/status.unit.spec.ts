import type { Status } from "tidelog";
import { describe, expect, test } from "vitest";
import { statusToProgress, statusToWords } from "./status.ts";
import { userOfPage } from "./user.ts";

const LIVE: Status = {
  phase: "live",
  position: 10,
  head: 10,
  pending: 0,
  parked: 0,
  leader: true,
  unfolded: [],
};

describe("the status line", () => {
  test("says each phase in words", () => {
    const said = (part: Partial<Status>) => statusToWords({ ...LIVE, ...part });
    expect(said({})).toBe("Live");
    expect(said({ phase: "offline", pending: 2, parked: 1 })).toBe(
      "Offline · 2 pending · 1 parked",
    );
    expect(said({ phase: "catching-up", position: 1200, head: 262200 })).toBe(
      "Catching up 1,200 of 262,200",
    );
    expect(said({ phase: "opening", position: 0, head: 0 })).toBe("Opening…");
    expect(said({ phase: "blocked" })).toMatch(/^Blocked: /);
    expect(said({ phase: "error" })).toMatch(/^Error: /);
  });

  test("has progress only while there is something to wait for", () => {
    expect(statusToProgress(LIVE)).toBeUndefined();
    expect(
      statusToProgress({ ...LIVE, phase: "opening", replayed: { done: 3, total: 9 } }),
    ).toEqual({
      label: "Reading from this device",
      done: 3,
      total: 9,
    });
  });
});

describe("the user", () => {
  test("comes from the page's address", () => {
    expect(userOfPage("?user=ann")).toEqual({ name: "ann", token: "ann" });
    expect(userOfPage("?user=%20")).toEqual({ name: "anonymous", token: undefined });
    expect(userOfPage("")).toEqual({ name: "anonymous", token: undefined });
  });
});
