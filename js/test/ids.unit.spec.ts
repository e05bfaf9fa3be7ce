import { expect, it } from "vitest";
import { derivedId, newId } from "../src/ids.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

it("new ids are UUIDv7 and carry the time", () => {
  const before = Date.now();
  const id = newId();
  expect(UUID.exec(id)?.[1]).toBe("7");
  const time = Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
  expect(time).toBeGreaterThanOrEqual(before);
  expect(time).toBeLessThanOrEqual(Date.now());
  expect(newId()).not.toBe(id);
});

it("derived ids are the same each time, different from each other, and wrap at the end", () => {
  const id = "018f0000-0000-7abc-8def-0123ffffffff";
  expect(derivedId(id, 0)).toBe("018f0000-0000-8abc-8def-0123ffffffff");
  expect(derivedId(id, 1)).toBe("018f0000-0000-8abc-8def-012300000000");
  expect(derivedId(id, 1)).toBe(derivedId(id, 1));
});
