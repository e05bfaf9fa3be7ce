import { afterEach, expect, it, vi } from "vitest";
import { LoadError } from "../src/errors.js";
import { createLog } from "../src/index.js";
import { thrownBy, todo } from "./fixtures.js";

afterEach(() => vi.unstubAllGlobals());

it("importing and making a log loads nothing", () => {
  const fetched = vi.fn();
  vi.stubGlobal("fetch", fetched);
  const log = createLog({ name: "test", streams: { todo } });
  expect(log.rows(todo).getSnapshot()).toEqual([]);
  expect(log.status.getSnapshot()).toMatchObject({ phase: "opening", position: 0 });
  expect(fetched).not.toHaveBeenCalled();
});

it("a module that cannot be loaded is named, and loaded again at the next try", async () => {
  const fetched = vi.fn(async () => new Response("<!doctype html>"));
  vi.stubGlobal("fetch", fetched);
  const wasm = new URL("https://app.example/tidelog_wasm_bg.wasm");
  const log = createLog({ name: "test", streams: { todo }, wasm });
  await expect(log.ready()).rejects.toBeInstanceOf(LoadError);
  expect(log.status.getSnapshot()).toMatchObject({
    phase: "error",
    error: { code: "wasm_not_loaded" },
  });
  expect(thrownBy(() => log.todo("a").complete())).toMatchObject({ code: "wasm_not_loaded" });
  await expect(log.ready()).rejects.toMatchObject({ code: "wasm_not_loaded" });
  expect(fetched).toHaveBeenCalledTimes(2);
});
