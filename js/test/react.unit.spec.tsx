import { renderToString } from "react-dom/server";
import { expect, it } from "vitest";
import { projection } from "../src/define.js";
import { useFold, useParked, useRow, useRows, useStatus } from "../src/react.js";
import { fakeLog, openLog, todo } from "./fixtures.js";

const count = projection({ name: "count", initial: 0, evolve: (n) => n + 1 });

function Screen({ log }: { readonly log: ReturnType<typeof fakeLog>["log"] }) {
  const rows = useRows(log, todo, { where: { done: false }, orderBy: "title" });
  const row = useRow(log, todo, "a");
  const text = [
    rows.length,
    row?.state.title ?? "none",
    useFold(log, count),
    useStatus(log).phase,
    useParked(log).length,
  ];
  return <p>{text.join(" ")}</p>;
}

it("hooks render the empty state on a server and open nothing", () => {
  const { log, device } = fakeLog();
  expect(renderToString(<Screen log={log} />)).toBe("<p>0 none 0 opening 0</p>");
  expect(device.opens).toBe(0);
});

it("hooks render the same empty state on a server whose log is open, so that hydration matches", async () => {
  const { log } = await openLog();
  log.todo("a").add({ title: "Milk" });
  expect(renderToString(<Screen log={log} />)).toContain("0 none 0");
});
