/** What JSON keeps without loss, and what it does not. */

/** Deeper than this a state is taken for one that refers to itself. */
const DEPTH = 64;

/**
 * Why `value` would not come back from JSON as it is; `undefined` if it would. A property that is
 * `undefined` counts as absent. Costs one walk over the value.
 */
export function notPlain(value: unknown, depth = 0): string | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? undefined : `it holds ${value}`;
    case "object":
      break;
    default:
      return `it holds a value of type ${typeof value}`;
  }
  if (value === null) return undefined;
  if (depth > DEPTH) return "it is nested too deep, or refers to itself";
  return Array.isArray(value) ? listNotPlain(value, depth) : objectNotPlain(value, depth);
}

function listNotPlain(list: readonly unknown[], depth: number): string | undefined {
  if (Object.keys(list).length !== list.length) return "it holds a list with holes or properties";
  for (const item of list) {
    const problem = notPlain(item, depth + 1);
    if (problem) return problem;
  }
  return undefined;
}

function objectNotPlain(value: object, depth: number): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype) {
    const name = (prototype as { constructor?: { name?: string } } | null)?.constructor?.name;
    return `it holds an instance of ${name ?? "no class"}`;
  }
  if (Object.getOwnPropertySymbols(value).length > 0) return "it has a property named by a symbol";
  const fields = value as Readonly<Record<string, unknown>>;
  if (typeof fields.toJSON === "function") return "it has a toJSON of its own";
  for (const name of Object.keys(fields)) {
    const field = fields[name];
    if (field === undefined) continue;
    const problem = notPlain(field, depth + 1);
    if (problem) return problem;
  }
  return undefined;
}
