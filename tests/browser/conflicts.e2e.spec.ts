/** Two people change the same things while neither reaches the server. */

import type { BrowserContext } from "@playwright/test";
import { expect, test } from "../support/demo.ts";
import { eventsOf, type ServerEvent } from "../support/server-log.ts";
import type { TideServer } from "../support/tide-server.ts";
import { backOnline, converged, TodoPage } from "../support/todo-page.ts";

type NewBrowser = () => Promise<BrowserContext>;

/** Ann and Bob, who both have the same synced list on their screens. */
async function annAndBob(tide: TideServer, newBrowser: NewBrowser, titles: readonly string[]) {
  const ann = await TodoPage.open(await newBrowser(), tide, { user: "ann" });
  await ann.add(...titles);
  await ann.synced();
  const bob = await TodoPage.open(await newBrowser(), tide, { user: "bob" });
  await converged([ann, bob], titles);
  return { ann, bob };
}

/**
 * Both rename `Bread` while the server is stopped. Ann reaches it first, so Bob's rename is what conflicts:
 * it is parked, and neither screen has anything pending.
 */
async function bobLosesARename(tide: TideServer, newBrowser: NewBrowser) {
  const { ann, bob } = await annAndBob(tide, newBrowser, ["Bread"]);
  await tide.stop();
  await ann.offline();
  await bob.offline();
  await ann.rename("Bread", "Rye bread");
  await bob.rename("Bread", "White bread");
  await expect(bob.titles).toHaveText(["White bread"]);
  await bob.page.context().setOffline(true);
  await backOnline(tide, [ann]);
  await ann.synced();
  await bob.page.context().setOffline(false);
  await bob.synced();
  await expect(bob.conflicts).toHaveCount(1);
  return { ann, bob };
}

function titlesOf(events: readonly ServerEvent[]): readonly unknown[] {
  return events.map((event) => (event.data as { title?: string }).title ?? event.type);
}

test("edits of different todos meet on both screens without a question", async ({
  tide,
  newBrowser,
}) => {
  const { ann, bob } = await annAndBob(tide, newBrowser, ["Bread", "Milk"]);
  await tide.stop();
  await ann.offline();
  await bob.offline();

  await ann.rename("Bread", "Rye bread");
  await ann.add("Apples");
  await bob.rename("Milk", "Oat milk");
  await bob.add("Pears");
  await expect(ann.titles).toHaveText(["Rye bread", "Milk", "Apples"]);
  await expect(bob.titles).toHaveText(["Bread", "Oat milk", "Pears"]);
  expect((await ann.status()).pending).toBe(2);
  expect((await bob.status()).pending).toBe(2);

  await backOnline(tide, [ann, bob]);
  await converged([ann, bob], ["Rye bread", "Oat milk", "Apples", "Pears"]);
  await expect(ann.conflicts).toHaveCount(0);
  await expect(bob.conflicts).toHaveCount(0);
  expect(titlesOf(await eventsOf(tide, "todos")).toSorted()).toEqual(
    ["Bread", "Milk", "Rye bread", "Apples", "Oat milk", "Pears"].toSorted(),
  );
});

test("both tick the same todo: it is done, and nobody is asked", async ({ tide, newBrowser }) => {
  const { ann, bob } = await annAndBob(tide, newBrowser, ["Bread"]);
  await tide.stop();
  await ann.offline();
  await bob.offline();
  await ann.toggle("Bread");
  await bob.toggle("Bread");

  await backOnline(tide, [ann, bob]);
  await converged([ann, bob], ["Bread"]);
  for (const each of [ann, bob]) {
    await expect(each.item("Bread").getByLabel("Toggle Todo")).toBeChecked();
    await expect(each.conflicts).toHaveCount(0);
  }
  // Decided again on a todo that is done already, the second tick has nothing left to say.
  expect((await eventsOf(tide, "todos")).map(({ type }) => type)).toEqual([
    "todo.added",
    "todo.completed",
  ]);
});

test("a rename that lost is parked with both versions and both sides", async ({
  tide,
  newBrowser,
}) => {
  const { ann, bob } = await bobLosesARename(tide, newBrowser);

  const [parked] = await bob.parked();
  const [base, theirs] = await eventsOf(tide, "todos");
  expect(parked).toMatchObject({
    reason: {
      code: "conflict",
      conflicts: [{ stream: base?.stream, expected: 1, actual: 2 }],
    },
    mine: [{ type: "todo.renamed", data: { title: "White bread" } }],
    theirs: [{ type: "todo.renamed", version: 2, position: 2, data: { title: "Rye bread" } }],
    command: { name: "rename", args: { title: "White bread" } },
  });
  expect(parked?.theirs[0]?.commitId).toBe(theirs?.commitId);

  const panel = bob.conflicts;
  await expect(panel).toContainText("You renamed “Bread” to “White bread”.");
  await expect(panel).toContainText("Someone else renamed “Bread” to “Rye bread”.");
  await expect(panel).toContainText("Expected version 1, found version 2.");
  await expect(bob.items).toHaveAttribute("data-sync", "conflict");
  await expect(bob.titles).toHaveText(["Rye bread"]);

  await bob.page.reload();
  await bob.ready();
  await expect(bob.conflicts).toContainText("You renamed “Bread” to “White bread”.");
  await converged([ann, bob], ["Rye bread"]);
});

test("Retry decides the rename again on what the other made of it", async ({
  tide,
  newBrowser,
}) => {
  const { ann, bob } = await bobLosesARename(tide, newBrowser);
  await bob.conflicts.getByRole("button", { name: "Retry" }).click();
  await expect(bob.conflicts).toHaveCount(0);
  await converged([ann, bob], ["White bread"]);
  expect(titlesOf(await eventsOf(tide, "todos"))).toEqual(["Bread", "Rye bread", "White bread"]);
  expect((await bob.status()).parked).toBe(0);
});

test("Keep mine puts the rename on top of the other's", async ({ tide, newBrowser }) => {
  const { ann, bob } = await bobLosesARename(tide, newBrowser);
  await bob.conflicts.getByRole("button", { name: "Keep mine" }).click();
  await expect(bob.conflicts).toHaveCount(0);
  await converged([ann, bob], ["White bread"]);
  expect(titlesOf(await eventsOf(tide, "todos"))).toEqual(["Bread", "Rye bread", "White bread"]);
  expect((await bob.status()).parked).toBe(0);
});

test("Discard mine drops the rename and nothing else", async ({ tide, newBrowser }) => {
  const { ann, bob } = await bobLosesARename(tide, newBrowser);
  await bob.add("Butter");
  await bob.conflicts.getByRole("button", { name: "Discard mine" }).click();
  await expect(bob.conflicts).toHaveCount(0);
  await converged([ann, bob], ["Rye bread", "Butter"]);
  expect(titlesOf(await eventsOf(tide, "todos"))).toEqual(["Bread", "Rye bread", "Butter"]);

  await bob.page.reload();
  await bob.ready();
  expect(await bob.parked()).toEqual([]);
});

test("a conflict does not hold up what else was done offline", async ({ tide, newBrowser }) => {
  const { ann, bob } = await annAndBob(tide, newBrowser, ["Bread", "Milk"]);
  await tide.stop();
  await ann.offline();
  await bob.offline();
  await ann.rename("Bread", "Rye bread");
  await bob.rename("Bread", "White bread");
  await bob.rename("Milk", "Oat milk");
  await bob.add("Butter");

  await bob.page.context().setOffline(true);
  await backOnline(tide, [ann]);
  await ann.synced();
  await bob.page.context().setOffline(false);
  await converged([ann, bob], ["Rye bread", "Oat milk", "Butter"]);
  await expect(bob.conflicts).toHaveCount(1);
  expect(titlesOf(await eventsOf(tide, "todos"))).toEqual([
    "Bread",
    "Milk",
    "Rye bread",
    "Oat milk",
    "Butter",
  ]);
});

test("a retry that the todo's own rules refuse stays parked with the reason", async ({
  tide,
  newBrowser,
}) => {
  const { ann, bob } = await annAndBob(tide, newBrowser, ["Bread", "Milk"]);
  await tide.stop();
  await ann.offline();
  await bob.offline();
  await ann.remove("Bread");
  await bob.rename("Bread", "White bread");
  await bob.page.context().setOffline(true);
  await backOnline(tide, [ann]);
  await ann.synced();
  await bob.page.context().setOffline(false);
  await bob.synced();
  await expect(bob.conflicts).toContainText("Someone else removed “Bread”.");

  await bob.conflicts.getByRole("button", { name: "Retry" }).click();
  await expect(bob.conflicts).toContainText("Someone removed this todo meanwhile.");
  await expect(bob.conflicts).toContainText("You renamed “Bread” to “White bread”.");
  await bob.conflicts.getByRole("button", { name: "Discard mine" }).click();
  await expect(bob.conflicts).toHaveCount(0);
  await converged([ann, bob], ["Milk"]);
});

test("saving an edit of a todo that changed meanwhile keeps the text and says so", async ({
  tide,
  newBrowser,
}) => {
  const { ann, bob } = await annAndBob(tide, newBrowser, ["Bread"]);
  const editor = await bob.startEditing("Bread");
  await editor.fill("White bread");
  await ann.rename("Bread", "Rye bread");
  await expect(bob.page.getByText("Rye bread")).toBeAttached();

  await editor.press("Enter");
  await expect(bob.page.getByRole("alert")).toContainText("changed while you were editing");
  await expect(editor).toHaveValue("White bread");
  await editor.press("Enter");
  await converged([ann, bob], ["White bread"]);
});
