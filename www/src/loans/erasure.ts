/** Tidelog's own events in words: what was erased, and that an application is closed. */
import type { RecordedEvent } from "tidelog";

export interface Erasure {
  readonly what: string;
  readonly reason: string;
}

/** Undefined for every other event. */
export function erasureToWords({ type, data }: RecordedEvent): Erasure | undefined {
  const { versions, reason } = (data ?? {}) as { versions?: unknown; reason?: unknown };
  const because = typeof reason === "string" ? reason : "No reason given";
  switch (type) {
    case "tidelog.redacted":
      return { what: `Details erased${versionsToWords(versions)}`, reason: because };
    case "tidelog.tombstoned":
      return { what: "Closed for good", reason: because };
    default:
      return undefined;
  }
}

/** `[[3, 4], [7, 7]]` → ` of versions 3–4 and 7`. */
function versionsToWords(versions: unknown): string {
  if (!Array.isArray(versions) || versions.length === 0) return "";
  const ranges = versions as readonly (readonly [number, number])[];
  const words = ranges.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`));
  const count = ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  const last = words.pop();
  const list = words.length > 0 ? `${words.join(", ")} and ${last}` : last;
  return ` of ${count === 1 ? "version" : "versions"} ${list}`;
}
