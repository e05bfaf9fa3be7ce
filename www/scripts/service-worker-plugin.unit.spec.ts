import { expect, test } from "vitest";
import { fileToUrl } from "./service-worker-plugin.ts";

test("a page is cached under the address that people open", () => {
  expect(["index.html", "todomvc/index.html", "assets/a.wasm"].map(fileToUrl)).toEqual([
    "/",
    "/todomvc/",
    "/assets/a.wasm",
  ]);
});
