import { defineConfig } from "@playwright/test";

/** Chromium of the system, quiet: no first-run pages, no update or sync traffic, no GPU. */
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Service workers stay allowed: working offline is what is tested. A retry would hide a race. */
export default defineConfig({
  testDir: "browser",
  testMatch: "**/*.e2e.spec.ts",
  timeout: 120_000,
  expect: { timeout: 20_000 },
  workers: 2,
  retries: 0,
  fullyParallel: true,
  forbidOnly: Boolean(process.env.CI),
  reporter: [["list"]],
  use: {
    serviceWorkers: "allow",
    trace: "retain-on-failure",
  },
  projects: [
    {
      name: "chromium",
      use: {
        browserName: "chromium",
        launchOptions: { executablePath: "/usr/bin/chromium", args: CHROMIUM_FLAGS },
      },
    },
  ],
});
