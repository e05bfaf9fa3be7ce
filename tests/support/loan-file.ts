/** Loan applications as a plain reader of the NDJSON sees them: what the loan desk must show. */
import { createReadStream, existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createGunzip } from "node:zlib";

/** 262,200 real events, if somebody put them beside the checkout. */
export const REAL_LOANS = fileURLToPath(
  new URL("../../../shared/data/loan-applications.ndjson.gz", import.meta.url),
);

export function hasRealLoans(): boolean {
  return existsSync(REAL_LOANS);
}

export interface LoanFile {
  readonly events: number;
  readonly applications: number;
  /** Applications with an `A_APPROVED.complete`. */
  readonly approved: number;
  /** Last completed `A_` activity → how many applications. */
  readonly byStatus: ReadonlyMap<string, number>;
  /** Key → the types of its events, in order. */
  readonly histories: ReadonlyMap<string, readonly string[]>;
}

/** Reads the first `limit` lines of a file, gzipped if its name says so. */
export async function readLoans(file: string, limit = Number.POSITIVE_INFINITY): Promise<LoanFile> {
  const bytes = createReadStream(file);
  const input = file.endsWith(".gz") ? bytes.pipe(createGunzip()) : bytes;
  const histories = new Map<string, string[]>();
  let events = 0;
  for await (const line of createInterface({ input })) {
    if (events >= limit) break;
    const { stream, type } = JSON.parse(line) as { stream: string; type: string };
    // The file writes `application-173688`, an export of the server `application/173688`.
    const key = stream.replace(/^application[-/]/, "");
    const history = histories.get(key);
    if (history) history.push(type);
    else histories.set(key, [type]);
    events += 1;
  }
  bytes.destroy();
  return { events, applications: histories.size, histories, ...summaryOf(histories) };
}

function summaryOf(histories: ReadonlyMap<string, readonly string[]>) {
  const byStatus = new Map<string, number>();
  let approved = 0;
  for (const types of histories.values()) {
    const reached = types.filter((type) => /^A_\w+\.complete$/.test(type));
    const status = reached.at(-1)?.replace(/\.complete$/, "") ?? "";
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    if (reached.includes("A_APPROVED.complete")) approved += 1;
  }
  return { byStatus, approved };
}
