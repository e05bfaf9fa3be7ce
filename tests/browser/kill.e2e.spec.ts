/**
 * Chromium is killed while pages append. `npm run kill-test -- --kills N --seed S` runs any number of kills; here it is
 * 20, and a run that lies to the witness.
 */
import { expect, test } from "@playwright/test";
import { killTest, Loss } from "../support/kill-test.ts";

const KILLS = Number(process.env.TIDELOG_KILLS ?? 20);
const SEED = Number(process.env.TIDELOG_SEED ?? 1);
/** Generous: most of a kill is two starts of a browser. */
const KILL_WITHIN_MS = 30_000;

for (const [kind, kills] of [
  ["local", Math.ceil(KILLS / 2)],
  ["synced", Math.floor(KILLS / 2)],
] as const) {
  if (kills === 0) continue;
  test(`${kills} kills, ${kind} logs: what a witness was told is durable is there, once`, async ({
    launchOptions,
  }, info) => {
    test.setTimeout(60_000 + kills * KILL_WITHIN_MS);
    const sum = await killTest({
      ...common(launchOptions, info.outputPath("profile")),
      kind,
      kills,
    });
    expect(sum.kills).toBe(kills);
    expect(sum.told).toBeGreaterThan(0);
  });
}

test("a page that tells of commits before they are durable is caught", async ({
  launchOptions,
}, info) => {
  const lying = { ...common(launchOptions, info.outputPath("profile")), lie: true };
  await expect(killTest({ ...lying, kind: "local", kills: 8 })).rejects.toThrow(Loss);
});

function common(
  { executablePath = "", args = [] }: { executablePath?: string; args?: string[] },
  evidence: string,
) {
  return {
    seed: SEED,
    lie: process.env.TIDELOG_LIE === "1",
    executable: executablePath,
    flags: args,
    evidence,
    say: (line: string) => console.log(line),
  };
}
