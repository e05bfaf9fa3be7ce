/** Counts and searches over the applications: pure functions. */
import type { Row } from "tidelog";
import { APPROVED, type Application } from "./application.ts";

export type ApplicationRow = Row<Application>;

export interface StatusCount {
  readonly status: string;
  readonly count: number;
}

export interface Summary {
  readonly applications: number;
  /** Applications that have an `A_APPROVED.complete`, whatever came after. */
  readonly approved: number;
  /** By last status, largest first. */
  readonly byStatus: readonly StatusCount[];
}

export function summarise(rows: readonly ApplicationRow[]): Summary {
  const counts = new Map<string, number>();
  let approved = 0;
  for (const { state } of rows) {
    counts.set(state.status, (counts.get(state.status) ?? 0) + 1);
    if (state.reached.includes(APPROVED)) approved += 1;
  }
  const byStatus = [...counts]
    .map(([status, count]) => ({ status, count }))
    .sort((a, b) => b.count - a.count || (a.status < b.status ? -1 : 1));
  return { applications: rows.length, approved, byStatus };
}

export interface Search {
  /** Words that must all be found, each in the id, the status or as the start of a resource. */
  readonly text: string;
  /** Only this last status. */
  readonly status: string | undefined;
}

export function searchRows(
  rows: readonly ApplicationRow[],
  search: Search,
): readonly ApplicationRow[] {
  const words = search.text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0 && search.status === undefined) return rows;
  return rows.filter(
    ({ key, state }) =>
      (search.status === undefined || state.status === search.status) &&
      words.every((word) => matches(word, key, state)),
  );
}

function matches(word: string, key: string, { status, resources }: Application): boolean {
  return (
    key.toLowerCase().includes(word) ||
    statusToWords(status).toLowerCase().includes(word) ||
    status.toLowerCase().includes(word) ||
    resources.some((resource) => resource.toLowerCase().startsWith(word))
  );
}

/** `A_PARTLYSUBMITTED` → `Partly submitted`. */
export function statusToWords(status: string): string {
  if (status === "") return "Not submitted";
  if (status === "A_PARTLYSUBMITTED") return "Partly submitted";
  if (status === "A_PREACCEPTED") return "Pre-accepted";
  const words = status
    .replace(/^[AOW]_/, "")
    .replaceAll("_", " ")
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** How a status ended, for its colour. */
export function statusToTone(status: string): "good" | "bad" | "open" {
  if (["A_APPROVED", "A_REGISTERED", "A_ACTIVATED"].includes(status)) return "good";
  if (["A_DECLINED", "A_CANCELLED"].includes(status)) return "bad";
  return "open";
}
