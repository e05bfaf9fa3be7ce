/**
 * The test of the demo's end-to-end suites: a server of its own (`tide`), browsers of their own
 * (`newBrowser`), and a watch over every page. An uncaught error, an unhandled rejection, a report of the
 * content security policy or an error on the console fails the test, whatever else it asserts.
 */
import { type BrowserContext, type BrowserContextOptions, expect } from "@playwright/test";
import { test as served } from "./tide-server.ts";

export { expect } from "@playwright/test";

interface Demo {
  /** Another person's or another device's browser: storage and service worker of its own. */
  readonly newBrowser: (options?: BrowserContextOptions) => Promise<BrowserContext>;
  /** What the pages complained about so far; must be empty at the end. */
  readonly complaints: string[];
}

export const test = served.extend<Demo>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs
  complaints: async ({}, use) => {
    const complaints: string[] = [];
    await use(complaints);
    expect(complaints, "what pages complained about").toEqual([]);
  },
  context: async ({ context, complaints }, use) => {
    await watch(context, complaints);
    await use(context);
  },
  newBrowser: async ({ browser, complaints }, use) => {
    const opened: BrowserContext[] = [];
    await use(async (options) => {
      const context = await browser.newContext(options);
      await watch(context, complaints);
      opened.push(context);
      return context;
    });
    for (const context of opened) await context.close();
  },
});

async function watch(context: BrowserContext, complaints: string[]): Promise<void> {
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      console.error(`the page's policy (${violatedDirective}) stopped ${blockedURI}`);
    });
  });
  context.on("weberror", (error) => complaints.push(`uncaught: ${String(error.error())}`));
  context.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !isExpected(text)) complaints.push(`console: ${text}`);
  });
}

/** The browser itself says this of every request that fails, as it must while the server is stopped. */
function isExpected(text: string): boolean {
  return text.startsWith("Failed to load resource:");
}
