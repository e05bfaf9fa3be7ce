import { type Status, TidelogError } from "tidelog";
import { describe, expect, test } from "vitest";
import { keepToRetain, textToKeep } from "./keep.ts";
import { statusToNotices } from "./notices.tsx";
import { formatBytes, statusToProgress, statusToRetry, statusToWords } from "./status.ts";
import { userOfPage } from "./user.ts";

const LIVE: Status = {
  phase: "live",
  position: 10,
  head: 10,
  pending: 0,
  parked: 0,
  leader: true,
  unfolded: [],
  rebuilding: [],
  unsaved: [],
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
    expect(said({ phase: "connecting", pending: 3 })).toBe("Connecting… · 3 pending");
    expect(said({ phase: "opening", position: 0, head: 0 })).toBe("Opening…");
    expect(said({ phase: "blocked" })).toMatch(/^Blocked: /);
    expect(said({ phase: "error" })).toMatch(/^Error: /);
    const tooOld = new TidelogError("client_too_old", "too old");
    expect(said({ phase: "blocked", error: tooOld, pending: 1 })).toBe(
      "Update needed: reload to get the new version of this app · 1 pending",
    );
  });

  test("tells beside the line when it is tried again, where somebody waits for it", () => {
    const retryAt = new Date(2026, 0, 2, 14, 5, 30).getTime();
    expect(statusToRetry({ ...LIVE, phase: "error", retryAt })).toBe("next try 14:05:30");
    expect(statusToRetry({ ...LIVE, phase: "offline", retryAt })).toBeUndefined();
    expect(statusToRetry({ ...LIVE, phase: "blocked" })).toBeUndefined();
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

describe("the storage", () => {
  test("says what is damaged, and whether somebody else has it", () => {
    const notices = (part: Partial<Status>) => statusToNotices({ ...LIVE, ...part });
    expect(notices({})).toEqual([]);
    expect(notices({ damaged: { from: 1201, refetch: true } })).toEqual([
      "Data on this device is damaged from event 1,201 on. It was set aside and comes again from the server.",
    ]);
    expect(notices({ damaged: { from: 1, refetch: false } })[0]).toMatch(/nobody else has a copy/);
    expect(notices({ reset: { reason: "rewound" } })[0]).toMatch(/anew from the server/);
  });

  test("counts bytes in thousands", () => {
    expect([0, 999, 1_000, 14_200_000, 5e9].map(formatBytes)).toEqual([
      "0 bytes",
      "999 bytes",
      "1.0 KB",
      "14 MB",
      "5.0 GB",
    ]);
  });

  test("keeps everything unless a known choice was made", () => {
    expect([null, "all", "10000", "7", "x"].map(textToKeep)).toEqual([
      "all",
      "all",
      10_000,
      "all",
      "all",
    ]);
    expect(keepToRetain(1_000)).toEqual({ newest: 1_000 });
  });
});

describe("the user", () => {
  test("comes from the page's address", () => {
    expect(userOfPage("?user=ann")).toEqual({ name: "ann", token: "ann" });
    expect(userOfPage("?user=%20")).toEqual({ name: "anonymous", token: undefined });
    expect(userOfPage("")).toEqual({ name: "anonymous", token: undefined });
  });
});
