import { expect, it } from "vitest";
import guide from "../ERRORS.md?raw";
import { coreErrorToTidelogError, ERRORS, type ErrorCode, tidelogError } from "../src/errors.js";
import * as tidelog from "../src/index.js";

const codes = Object.keys(ERRORS) as ErrorCode[];

it.each(codes)("%s is an error of its class, from here and from the core", (code) => {
  const [Class, template] = ERRORS[code];
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
  const fields = Object.fromEntries(names.map((name) => [name, `<${name}>`]));
  for (const error of [
    tidelogError(code, fields),
    coreErrorToTidelogError({ code, message: tidelogError(code, fields).message, ...fields }),
  ]) {
    expect(error).toBeInstanceOf(Class);
    expect(error).toBeInstanceOf(tidelog.TidelogError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(Class.name);
    expect(error.code).toBe(code);
    expect(error.fields).toEqual(fields);
    for (const name of names) expect(error.message).toContain(`<${name}>`);
    expect(error.docs).toBe(`https://unpkg.com/tidelog/ERRORS.md#${code}`);
  }
  expect(Object.values(tidelog)).toContain(Class);
});

it.each(codes)("%s is explained in ERRORS.md", (code) => {
  expect(guide).toContain(`\n## ${code}\n`);
});

it("a code from a newer core is a TidelogError, and a panic is core_failed with its cause", () => {
  const newer = coreErrorToTidelogError({ code: "brand_new", message: "What?", n: 1 });
  expect(newer.constructor).toBe(tidelog.TidelogError);
  expect(newer).toMatchObject({ code: "brand_new", message: "What?", fields: { n: 1 } });
  const panic = new Error("unreachable executed");
  const failed = coreErrorToTidelogError(panic);
  expect(failed.code).toBe("core_failed");
  expect(failed.cause).toBe(panic);
});
