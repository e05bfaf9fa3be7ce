/** TodoMVC as its public app specification says. */
import { test as base, expect } from "../support/demo.ts";
import { TodoPage } from "../support/todo-page.ts";

const THREE = ["buy some cheese", "feed the cat", "book a doctors appointment"] as const;
const [CHEESE, CAT, DOCTOR] = THREE;

const test = base.extend<{ todos: TodoPage }>({
  todos: async ({ tide, context }, use) => use(await TodoPage.open(context, tide)),
});

test.describe("without todos", () => {
  test("the input has the focus, and the list and the footer are hidden", async ({ todos }) => {
    await expect(todos.input).toBeFocused();
    await expect(todos.page.locator(".main")).toHaveCount(0);
    await expect(todos.page.locator(".footer")).toHaveCount(0);
  });
});

test.describe("adding", () => {
  test("Enter appends to the end of the list and clears the input", async ({ todos }) => {
    await todos.add(CHEESE);
    await expect(todos.input).toHaveValue("");
    await todos.add(CAT);
    await expect(todos.titles).toHaveText([CHEESE, CAT]);
    await expect(todos.page.locator(".main")).toBeVisible();
    await expect(todos.page.locator(".footer")).toBeVisible();
  });

  test("the title is trimmed, and nothing but spaces is no todo", async ({ todos }) => {
    await todos.add("   ", "", `  ${CHEESE}  `);
    await expect(todos.titles).toHaveText([CHEESE]);
    expect(await todos.titles.textContent()).toBe(CHEESE);
  });

  test("a todo added before the log is open is kept", async ({ tide, page }) => {
    await page.goto(tide.url("/todomvc/"), { waitUntil: "commit" });
    const todos = new TodoPage(page);
    await todos.add(CHEESE);
    await expect(todos.titles).toHaveText([CHEESE]);
    await todos.synced();
  });
});

test.describe("an item", () => {
  test.beforeEach(({ todos }) => todos.add(...THREE));

  test("its checkbox marks it as complete, and back", async ({ todos }) => {
    await todos.toggle(CAT);
    await expect(todos.item(CAT)).toHaveClass(/completed/);
    await expect(todos.item(CHEESE)).not.toHaveClass(/completed/);
    await todos.toggle(CAT);
    await expect(todos.item(CAT)).not.toHaveClass(/completed/);
  });

  test("a hover shows its remove button, which removes it", async ({ todos }) => {
    const button = todos.item(CAT).getByRole("button", { name: "Delete" });
    // Not hidden from the keyboard and from screen readers, only from the eye.
    await expect(button).toHaveCSS("opacity", "0");
    await todos.item(CAT).hover();
    await expect(button).toHaveCSS("opacity", "1");
    await todos.remove(CAT);
    await expect(todos.titles).toHaveText([CHEESE, DOCTOR]);
  });

  test("a double-click edits it, with everything else of it hidden", async ({ todos }) => {
    const editor = await todos.startEditing(CAT);
    await expect(editor).toBeFocused();
    await expect(editor).toHaveValue(CAT);
    const editing = todos.items.nth(1);
    await expect(editing).toHaveClass(/editing/);
    await expect(editing.getByLabel("Toggle Todo")).not.toBeVisible();
    await expect(editing.getByTestId("todo-title")).not.toBeVisible();
  });

  test("Enter saves an edit, trimmed", async ({ todos }) => {
    await todos.rename(CAT, "  feed both cats  ");
    await expect(todos.titles).toHaveText([CHEESE, "feed both cats", DOCTOR]);
    await expect(todos.page.getByLabel("Edit")).toHaveCount(0);
  });

  test("leaving the field saves an edit", async ({ todos }) => {
    const editor = await todos.startEditing(CAT);
    await editor.fill("feed both cats");
    await todos.input.click();
    await expect(todos.titles).toHaveText([CHEESE, "feed both cats", DOCTOR]);
  });

  test("Escape leaves an edit without a change", async ({ todos }) => {
    const editor = await todos.startEditing(CAT);
    await editor.fill("feed both cats");
    await editor.press("Escape");
    await expect(todos.titles).toHaveText([...THREE]);
    await expect(todos.page.getByLabel("Edit")).toHaveCount(0);
  });

  test("an edit to nothing removes it", async ({ todos }) => {
    await todos.rename(CAT, "   ");
    await expect(todos.titles).toHaveText([CHEESE, DOCTOR]);
  });
});

test.describe("all of them", () => {
  test.beforeEach(({ todos }) => todos.add(...THREE));

  test("the toggle of all marks all as complete, then as active", async ({ todos }) => {
    const all = todos.page.getByLabel("Mark all as complete");
    await all.check();
    await expect(todos.page.locator("[data-testid=todo-item].completed")).toHaveCount(3);
    await all.uncheck();
    await expect(todos.page.locator("[data-testid=todo-item].completed")).toHaveCount(0);
  });

  test("the toggle of all follows the items", async ({ todos }) => {
    const all = todos.page.getByLabel("Mark all as complete");
    await all.check();
    await todos.toggle(CAT);
    await expect(all).not.toBeChecked();
    await todos.toggle(CAT);
    await expect(all).toBeChecked();
  });

  test("the counter counts active todos, with the right word", async ({ todos }) => {
    const count = todos.page.getByTestId("todo-count");
    await expect(count).toHaveText("3 items left");
    await expect(count.locator("strong")).toHaveText("3");
    await todos.toggle(CAT);
    await expect(count).toHaveText("2 items left");
    await todos.toggle(CHEESE);
    await expect(count).toHaveText("1 item left");
    await todos.toggle(DOCTOR);
    await expect(count).toHaveText("0 items left");
  });

  test("Clear completed removes completed todos and is there only for them", async ({ todos }) => {
    const clear = todos.page.getByRole("button", { name: "Clear completed" });
    await expect(clear).toHaveCount(0);
    await todos.toggle(CAT);
    await clear.click();
    await expect(todos.titles).toHaveText([CHEESE, DOCTOR]);
    await expect(clear).toHaveCount(0);
  });
});

test.describe("routes", () => {
  test.beforeEach(async ({ todos }) => {
    await todos.add(...THREE);
    await todos.toggle(CAT);
  });

  test("each shows its todos and marks its link", async ({ todos }) => {
    const link = (name: string) => todos.page.getByRole("link", { name, exact: true });
    await expect(link("All")).toHaveClass(/selected/);
    await link("Active").click();
    await expect(todos.titles).toHaveText([CHEESE, DOCTOR]);
    await expect(link("Active")).toHaveClass(/selected/);
    expect(new URL(todos.page.url()).hash).toBe("#/active");
    await link("Completed").click();
    await expect(todos.titles).toHaveText([CAT]);
    await expect(link("Completed")).toHaveClass(/selected/);
    await expect(link("Active")).not.toHaveClass(/selected/);
    await todos.page.goBack();
    await expect(todos.titles).toHaveText([CHEESE, DOCTOR]);
    await link("All").click();
    await expect(todos.titles).toHaveText([...THREE]);
  });

  test("a todo that no longer fits the route leaves it at once", async ({ todos }) => {
    await todos.page.getByRole("link", { name: "Active" }).click();
    await todos.toggle(CHEESE);
    await expect(todos.titles).toHaveText([DOCTOR]);
  });

  test("a reload keeps the route and the todos", async ({ todos }) => {
    await todos.page.getByRole("link", { name: "Completed" }).click();
    await todos.page.reload();
    await expect(todos.titles).toHaveText([CAT]);
    await expect(todos.item(CAT)).toHaveClass(/completed/);
    await expect(todos.page.getByRole("link", { name: "Completed" })).toHaveClass(/selected/);
  });
});

test("everything works from the keyboard", async ({ todos }) => {
  const { keyboard } = todos.page;
  await keyboard.type(CHEESE);
  await keyboard.press("Enter");
  await expect(todos.titles).toHaveText([CHEESE]);
  await keyboard.press("Tab");
  await expect(todos.page.getByLabel("Mark all as complete")).toBeFocused();
  await keyboard.press("Tab");
  await expect(todos.item(CHEESE).getByLabel("Toggle Todo")).toBeFocused();
  await keyboard.press("Space");
  await expect(todos.item(CHEESE)).toHaveClass(/completed/);
  await keyboard.press("Tab");
  await expect(todos.item(CHEESE).getByRole("button", { name: "Delete" })).toBeFocused();
  await keyboard.press("Enter");
  await expect(todos.items).toHaveCount(0);
});

test("every control has a name, and the page has one heading of the first level", async ({
  todos,
}) => {
  await todos.add(...THREE);
  await todos.toggle(CAT);
  const { page } = todos;
  for (const role of ["button", "link", "checkbox", "textbox"] as const) {
    for (const control of await page.getByRole(role).all()) {
      await expect(control).toHaveAccessibleName(/\S/);
    }
  }
  await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
  await expect(page.locator("html")).toHaveAttribute("lang", "en");
  await expect(todos.input).toHaveAccessibleName("What needs to be done?");
});

test("each item shows whether it is pending or synced", async ({ tide, todos }) => {
  await todos.synced();
  await tide.stop();
  await todos.offline();
  await todos.add(CHEESE);
  await expect(todos.items).toHaveAttribute("data-sync", "pending");
  await expect(todos.items.getByRole("img", { name: /^Pending/ })).toBeVisible();
  await tide.start();
  await todos.retryNow();
  await expect(todos.items).toHaveAttribute("data-sync", "synced");
});

test("markup in a title is text", async ({ todos }) => {
  const title = `<img src=x onerror="document.title='owned'"> <b>bold</b> &amp; "quotes"`;
  await todos.add(title);
  await expect(todos.titles).toHaveText([title]);
  await expect(todos.items.locator("img, b")).toHaveCount(0);
  await todos.rename(title, `<script>document.title = "owned"</script>`);
  await expect(todos.titles).toHaveText([`<script>document.title = "owned"</script>`]);
  await todos.page.reload();
  await expect(todos.titles).toHaveText([`<script>document.title = "owned"</script>`]);
  await expect(todos.page).toHaveTitle(/Tidelog/);
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("nothing is wider than the screen", async ({ todos }) => {
    await todos.add(...THREE, "x".repeat(200), "a long title made of many words ".repeat(8));
    await todos.toggle(CAT);
    const { scrollWidth, innerWidth } = await todos.page.evaluate(() => ({
      scrollWidth: document.documentElement.scrollWidth,
      innerWidth: window.innerWidth,
    }));
    expect(innerWidth).toBe(390);
    expect(scrollWidth).toBeLessThanOrEqual(390);
    for (const item of await todos.items.all()) {
      const box = await item.boundingBox();
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(390);
    }
  });
});
