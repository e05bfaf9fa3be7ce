/** Wrong tokens, foreign replicas, unknown logs and bad events: a clear word each, and nothing stored. */
import { writeFile } from "node:fs/promises";
import { test as base, expect } from "../support/demo.ts";
import { eventsOf } from "../support/server-log.ts";
import { TideServer, type TideServerOptions } from "../support/tide-server.ts";
import { TodoPage } from "../support/todo-page.ts";

const ANN = "ann-with-a-long-token";
const BOB = "bob-with-a-long-token";
const MALLORY = "mallory-and-a-long-guess";

/** A server outside `--dev`, started with lines of `log token subject`. */
interface Guarded {
  readonly server: TideServer;
  restart(tokens: readonly string[]): Promise<void>;
}

const test = base.extend<{ guarded: Guarded }>({
  guarded: async ({ tide }, use) => {
    await tide.stop();
    const file = `${tide.database}.tokens`;
    const restart = async (tokens: readonly string[]) => {
      await tide.stop();
      await writeFile(file, `${tokens.join("\n")}\n`);
      const options: TideServerOptions = { dev: false, args: ["--tokens", file] };
      await tide.start(options);
    };
    await restart([`todos ${ANN} ann`, `todos ${BOB} bob`]);
    await use({ server: tide, restart });
  },
});

test("a wrong token blocks sync, says so, and keeps the changes until it is taken", async ({
  guarded,
  context,
}) => {
  const todos = await TodoPage.open(context, guarded.server, { user: MALLORY });
  await todos.add("Bread");
  await expect(todos.statusLine).toHaveAttribute("data-phase", "blocked");
  await expect(todos.statusLine).toContainText("the server asks to sign in");
  await expect(todos.statusLine).toContainText("1 pending");
  expect((await todos.status()).error?.code).toBe("unauthorized");
  expect(await eventsOf(guarded.server, "todos", ANN)).toEqual([]);

  await todos.page.reload();
  await expect(todos.titles).toHaveText(["Bread"]);
  await expect(todos.conflicts).toHaveCount(0);

  await guarded.restart([`todos ${ANN} ann`, `todos ${MALLORY} mallory`]);
  await todos.retryNow();
  await todos.synced();
  expect(await eventsOf(guarded.server, "todos", ANN)).toHaveLength(1);
});

test("no token at all blocks sync, and nothing is stored", async ({ guarded, context }) => {
  const todos = await TodoPage.open(context, guarded.server);
  await todos.add("Bread");
  await expect(todos.statusLine).toHaveAttribute("data-phase", "blocked");
  await expect(todos.statusLine).toContainText("the server asks to sign in");
  await expect(todos.titles).toHaveText(["Bread"]);
  expect(await eventsOf(guarded.server, "todos", ANN)).toEqual([]);
});

test("a token that may only read shows the log and cannot push", async ({ guarded, context }) => {
  await guarded.restart([`todos ${ANN} ann`, `todos ${BOB} bob read`]);
  const ann = await TodoPage.open(context, guarded.server, { user: ANN });
  await ann.add("Bread");
  await ann.synced();
  const bob = await TodoPage.open(context, guarded.server, { user: BOB });
  await expect(bob.titles).toHaveText(["Bread"]);
  await bob.add("Milk");
  await expect(bob.statusLine).toHaveAttribute("data-phase", "blocked");
  await expect(bob.statusLine).toContainText("1 pending");
  expect(await eventsOf(guarded.server, "todos", ANN)).toHaveLength(1);
});

test("another person on the same device sees none of the first one's unsynced todos", async ({
  guarded,
  context,
}) => {
  const ann = await TodoPage.open(context, guarded.server, { user: ANN });
  await ann.synced();
  await ann.installed();
  await guarded.server.stop();
  await ann.offline();
  await ann.add("Ann's secret");
  await expect(ann.titles).toHaveText(["Ann's secret"]);
  await expect.poll(async () => (await ann.status()).pending).toBe(1);

  const bob = await TodoPage.open(context, guarded.server, { user: BOB });
  await expect(bob.titles).toHaveCount(0);
  await bob.add("Bob's own");
  await expect(bob.titles).toHaveText(["Bob's own"]);
  await expect(ann.titles).toHaveText(["Ann's secret"]);

  await guarded.server.start();
  await ann.retryNow();
  await bob.retryNow();
  await ann.synced();
  await bob.synced();
  const authors = await ann.page.evaluate(async (token) => {
    const answer = await fetch("/v1/logs/todos/commits?after=0", {
      headers: { accept: "application/json", authorization: `Bearer ${token}` },
    });
    const { commits } = (await answer.json()) as {
      commits: { actor: string; events: { data: { title: string } }[] }[];
    };
    return commits.map(({ actor, events }) => [actor, events[0]?.data.title]).sort();
  }, ANN);
  expect(authors).toEqual([
    ["ann", "Ann's secret"],
    ["bob", "Bob's own"],
  ]);
});

test("a replica that is used with another subject's token is refused whole", async ({
  guarded,
  context,
}) => {
  const todos = await TodoPage.open(context, guarded.server, { user: ANN });
  await todos.add("Bread");
  await todos.synced();
  await guarded.restart([`todos ${ANN} impostor`, `todos ${BOB} bob`]);
  await todos.add("Milk");
  await expect(todos.statusLine).toHaveAttribute("data-phase", "blocked");
  await expect(todos.statusLine).toContainText("1 pending");
  expect((await todos.status()).error?.code).toBe("forbidden");
  await expect(todos.statusLine).toContainText(/replica|device|another/i);
  await expect(todos.conflicts).toHaveCount(0);
  expect(await eventsOf(guarded.server, "todos", BOB)).toHaveLength(1);

  await guarded.restart([`todos ${ANN} ann`, `todos ${BOB} bob`]);
  await todos.retryNow();
  await todos.synced();
  expect(await eventsOf(guarded.server, "todos", BOB)).toHaveLength(2);
});

test("a log that the server does not have is said to be unknown, and the app works on", async ({
  context,
}) => {
  const server = await TideServer.create({ logs: ["loans"] });
  try {
    await server.start();
    const todos = await TodoPage.open(context, server);
    await todos.add("Bread");
    await expect(todos.statusLine).toHaveAttribute("data-phase", "blocked");
    await expect(todos.statusLine).toContainText("no such log");
    expect((await todos.status()).error?.code).toBe("unknown_log");
    await todos.toggle("Bread");
    await expect(todos.item("Bread").getByLabel("Toggle Todo")).toBeChecked();

    await server.restart({ logs: ["loans", "todos"] });
    await todos.retryNow();
    await todos.synced();
    expect(await eventsOf(server, "todos")).toHaveLength(2);
  } finally {
    await server.dispose();
  }
});

test("events that no stream declares or whose payload is wrong are typed errors, and leave no trace", async ({
  tide,
  context,
}) => {
  const todos = await TodoPage.open(context, tide);
  await todos.add("Bread");
  await todos.synced();
  const codes = await todos.page.evaluate(() => {
    const codeOf = (run: () => unknown): unknown => {
      try {
        run();
        return "no error";
      } catch (error) {
        const known = error as { code: string; name: string; docs: string; message: string };
        return {
          code: known.code,
          isError: error instanceof Error,
          isExplained: known.docs.endsWith(`#${known.code}`) && known.message.length > 20,
        };
      }
    };
    const log = window.tidelog;
    const stream = "todo/bad";
    return [
      codeOf(() => log.append([{ stream, type: "todo.exploded", data: {} }])),
      codeOf(() => log.append([{ stream, type: "todo.added", data: { title: 7 } }])),
      codeOf(() => log.append([{ stream, type: "todo.added", data: { title: "" } }])),
      codeOf(() => log.append([{ stream: "invoice/1", type: "invoice.sent", data: {} }])),
      codeOf(() => log.append([{ stream: "todo", type: "todo.added", data: { title: "x" } }])),
      codeOf(() =>
        log.append([{ stream, type: "todo.added", data: { title: "x".repeat(2 ** 21) } }]),
      ),
      codeOf(() => log.append([])),
      // The good half of a bad commit is not stored either.
      codeOf(() =>
        log.append([
          { stream, type: "todo.added", data: { title: "good" } },
          { stream, type: "todo.exploded", data: {} },
        ]),
      ),
    ];
  });
  const explained = (code: string) => ({ code, isError: true, isExplained: true });
  expect(codes).toEqual(
    [
      "unknown_event_type",
      "invalid_payload",
      "invalid_payload",
      "unknown_stream_kind",
      "invalid_stream",
      "commit_too_large",
      "empty_commit",
      "unknown_event_type",
    ].map(explained),
  );
  await todos.add("Milk");
  await todos.synced();
  await expect(todos.titles).toHaveText(["Bread", "Milk"]);
  expect(await eventsOf(tide, "todos")).toHaveLength(2);
});
