/** TodoMVC as a person uses it, and its log as the console shows it. */
import type { BrowserContext, Locator, Page } from "@playwright/test";
import type { Log, ParkedCommit, RecordedEvent, Status } from "tidelog";
import type { todo } from "../../www/src/todomvc/todo.ts";
import { expect } from "./demo.ts";
import { recordDemo } from "./statuses.ts";
import type { TideServer } from "./tide-server.ts";

declare global {
  interface Window {
    /** Documented in www/README.md. */
    readonly tidelog: Log<{ todo: typeof todo }>;
  }
}

/** What a status says of the queue, without its error object. */
export type StatusNow = Pick<Status, "phase" | "position" | "pending" | "parked" | "leader"> & {
  readonly error?: { readonly code: string; readonly message: string };
};

export class TodoPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** A new tab of a browser on TodoMVC, its log open. `user` is also the token. */
  static async open(
    context: BrowserContext,
    server: { url(path: string): string },
    { user, route = "" }: { user?: string; route?: string } = {},
  ): Promise<TodoPage> {
    const page = await context.newPage();
    await recordDemo(page);
    const query = user === undefined ? "" : `?user=${encodeURIComponent(user)}`;
    await page.goto(server.url(`/todomvc/${query}${route}`));
    const todos = new TodoPage(page);
    await todos.ready();
    return todos;
  }

  get input(): Locator {
    return this.page.getByPlaceholder("What needs to be done?");
  }

  get items(): Locator {
    return this.page.getByTestId("todo-item");
  }

  get titles(): Locator {
    return this.page.getByTestId("todo-title");
  }

  get conflicts(): Locator {
    return this.page.getByTestId("conflict");
  }

  get statusLine(): Locator {
    return this.page.locator("[role=status][data-phase]");
  }

  /** The item with exactly this title. */
  item(title: string): Locator {
    return this.items.filter({ has: this.page.getByText(title, { exact: true }) });
  }

  async ready(): Promise<void> {
    await this.page.evaluate(() => window.tidelog.ready());
  }

  async add(...titles: readonly string[]): Promise<void> {
    for (const title of titles) {
      await this.input.fill(title);
      await this.input.press("Enter");
    }
  }

  async toggle(title: string): Promise<void> {
    await this.item(title).getByLabel("Toggle Todo").click();
  }

  async startEditing(title: string): Promise<Locator> {
    await this.item(title).getByTestId("todo-title").dblclick();
    return this.page.getByLabel("Edit");
  }

  async rename(from: string, to: string): Promise<void> {
    const editor = await this.startEditing(from);
    await editor.fill(to);
    await editor.press("Enter");
  }

  async remove(title: string): Promise<void> {
    await this.item(title).hover();
    await this.item(title).getByRole("button", { name: "Delete" }).click();
  }

  status(): Promise<StatusNow> {
    return this.page.evaluate(() => {
      const { phase, position, pending, parked, leader, error } =
        window.tidelog.status.getSnapshot();
      const said = error ? { error: { code: error.code, message: error.message } } : {};
      return { phase, position, pending, parked, leader, ...said };
    });
  }

  /** Waits until nothing is left to send or fetch. */
  async synced(): Promise<void> {
    await expect
      .poll(() => this.status(), { message: "nothing pending and live" })
      .toMatchObject({ phase: "live", pending: 0 });
  }

  /** Waits until the log knows that it cannot reach the server. */
  async offline(): Promise<void> {
    await expect(this.statusLine).toHaveAttribute("data-phase", "offline");
  }

  /** Waits until the page works without the server. */
  async installed(): Promise<void> {
    await expect(this.page.locator("html")).toHaveAttribute("data-offline", "ready");
  }

  /** The person comes back to the tab, which tries the server again at once. */
  async retryNow(): Promise<void> {
    await this.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  }

  /** Adds a todo through the console and waits for its receipt's `durable`. Gives its key. */
  addDurably(title: string): Promise<string> {
    return this.page.evaluate(async (title) => {
      const key = crypto.randomUUID();
      await window.tidelog.todo(key).add({ title }).durable;
      return key;
    }, title);
  }

  /** A stream's events as this page has them. */
  historyOf(key: string): Promise<readonly RecordedEvent[]> {
    return this.page.evaluate((key) => window.tidelog.todo(key).history(), key);
  }

  parked(): Promise<readonly ParkedCommit[]> {
    return this.page.evaluate(() => window.tidelog.parked.getSnapshot());
  }
}

/** Waits until every page shows the same list, with nothing left to sync on any of them. */
export async function converged(pages: readonly TodoPage[], titles: readonly string[]) {
  for (const each of pages) await each.synced();
  for (const each of pages) await expect(each.titles).toHaveText([...titles]);
}

/** Waits until every page of a server that was away is told that it is back. */
export async function backOnline(tide: TideServer, pages: readonly TodoPage[]): Promise<void> {
  await tide.start();
  for (const each of pages) await each.retryNow();
}
