import type { Status } from "tidelog";
import { describe, expect, test } from "vitest";
import { keepToRetain, textToKeep } from "./keep.ts";
import { statusToNotices } from "./notices.tsx";
import { formatBytes, statusToProgress, statusToWords } from "./status.ts";
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
