/**
 * The data: `/bench/data.ndjson` if whoever serves the page has put it there, else invented loan applications of the same
 * shape. A set of any size is the first so many lines; where that is more than there are, the file again from its start, on
 * the same applications, so that the log grows and the state does not.
 */

import { type Digest, digestOf, foldInto, type LoanEvent, type Loans } from "./loan.ts";
import { seededRandom } from "./stats.ts";

export const DATA_URL = "/bench/data.ndjson";
/** As many as the real data has. */
const INVENTED = 262_200;
const SEED = 20_111_001;

export interface DataSet {
  readonly source: "real" | "invented";
  /** NDJSON, one event a line, no newline at its end. */
  readonly text: string;
  readonly events: number;
}

/** The first `events` events of the first `distinct`, repeated. */
export async function loadData(events: number, distinct = events): Promise<DataSet> {
  const file = await servedFile();
  const whole = file ?? inventLines(Math.min(distinct, INVENTED)).join("\n");
  const source = file === undefined ? "invented" : "real";
  const ends = lineEnds(whole, Math.min(events, distinct));
  const once = whole.slice(0, ends.at(-1) ?? 0);
  const copies = Math.floor(events / ends.length);
  const rest = events % ends.length;
  const parts = new Array<string>(copies).fill(once);
  if (rest > 0) parts.push(once.slice(0, ends[rest - 1]));
  return { source, text: parts.join("\n"), events };
}

/** What a plain fold of the data gives. */
export function referenceDigest(text: string): Digest {
  const loans: Loans = new Map();
  for (const event of parseLines(text)) foldInto(loans, event);
  return digestOf(loans);
}

export function parseLines(text: string): LoanEvent[] {
  return text.split("\n").map((line) => JSON.parse(line) as LoanEvent);
}

async function servedFile(): Promise<string | undefined> {
  const answer = await fetch(DATA_URL);
  if (!answer.ok || (answer.headers.get("content-type") ?? "").includes("html")) return undefined;
  return answer.text();
}

/** Where the first so many lines end. */
function lineEnds(text: string, count: number): number[] {
  const ends: number[] = [];
  let from = 0;
  while (ends.length < count && from < text.length) {
    const end = text.indexOf("\n", from);
    ends.push(end < 0 ? text.length : end);
    from = end < 0 ? text.length : end + 1;
  }
  return ends;
}

/** What may follow a step, as often as it stands there; the empty name ends an application. */
const NEXT: { readonly [step: string]: readonly string[] } = {
  "A_SUBMITTED.complete": ["A_PARTLYSUBMITTED.complete"],
  "A_PARTLYSUBMITTED.complete": [
    "A_PREACCEPTED.complete",
    "W_Afhandelen leads.schedule",
    "A_DECLINED.complete",
  ],
  "A_PREACCEPTED.complete": ["W_Completeren aanvraag.schedule"],
  "A_DECLINED.complete": [""],
  "A_CANCELLED.complete": [""],
  "W_Afhandelen leads.schedule": ["W_Afhandelen leads.start"],
  "W_Afhandelen leads.start": ["W_Afhandelen leads.complete"],
  "W_Afhandelen leads.complete": [
    "W_Afhandelen leads.start",
    "A_PREACCEPTED.complete",
    "A_DECLINED.complete",
  ],
  "W_Completeren aanvraag.schedule": ["W_Completeren aanvraag.start"],
  "W_Completeren aanvraag.start": [
    "W_Completeren aanvraag.complete",
    "W_Completeren aanvraag.complete",
    "W_Completeren aanvraag.complete",
    "A_ACCEPTED.complete",
  ],
  "W_Completeren aanvraag.complete": [
    "W_Completeren aanvraag.start",
    "W_Completeren aanvraag.start",
    "W_Completeren aanvraag.start",
    "A_CANCELLED.complete",
  ],
  "A_ACCEPTED.complete": ["A_FINALIZED.complete"],
  "A_FINALIZED.complete": ["O_SELECTED.complete"],
  "O_SELECTED.complete": ["O_CREATED.complete"],
  "O_CREATED.complete": ["O_SENT.complete"],
  "O_SENT.complete": ["W_Nabellen offertes.schedule"],
  "W_Nabellen offertes.schedule": ["W_Nabellen offertes.start"],
  "W_Nabellen offertes.start": ["W_Nabellen offertes.complete"],
  "W_Nabellen offertes.complete": [
    "W_Nabellen offertes.start",
    "W_Nabellen offertes.start",
    "W_Nabellen offertes.start",
    "O_SENT_BACK.complete",
    "O_CANCELLED.complete",
  ],
  "O_SENT_BACK.complete": ["W_Valideren aanvraag.schedule"],
  "O_CANCELLED.complete": ["A_CANCELLED.complete", "O_SELECTED.complete"],
  "W_Valideren aanvraag.schedule": ["W_Valideren aanvraag.start"],
  "W_Valideren aanvraag.start": ["W_Valideren aanvraag.complete"],
  "W_Valideren aanvraag.complete": [
    "W_Nabellen incomplete dossiers.start",
    "W_Nabellen incomplete dossiers.start",
    "A_APPROVED.complete",
  ],
  "W_Nabellen incomplete dossiers.start": ["W_Nabellen incomplete dossiers.complete"],
  "W_Nabellen incomplete dossiers.complete": [
    "W_Nabellen incomplete dossiers.start",
    "W_Nabellen incomplete dossiers.start",
    "W_Valideren aanvraag.start",
  ],
  "A_APPROVED.complete": ["A_REGISTERED.complete"],
  "A_REGISTERED.complete": ["A_ACTIVATED.complete"],
  "A_ACTIVATED.complete": [""],
};

/** Invented events, the same for the same count: about 20 for each application, many applications under way at once. */
export function inventLines(count: number): string[] {
  const random = seededRandom(SEED);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const people = Array.from({ length: 68 }, (_, i) => String(112 + i * 163));
  const underWay: { readonly key: number; step: string }[] = [];
  const lines: string[] = [];
  let key = 173_688;
  let time = Date.parse("2011-10-01T00:38:44.546Z");
  while (lines.length < count) {
    time += Math.floor(random() ** 4 * 280_000) + 1;
    let amount: number | undefined;
    let at: { readonly key: number; step: string };
    if (underWay.length < 40 || random() < 0.05) {
      key += 1 + Math.floor(random() * 5);
      at = { key, step: "A_SUBMITTED.complete" };
      underWay.push(at);
      amount = 500 * (1 + Math.floor(random() * 100));
    } else {
      const place = Math.floor(random() ** 2 * underWay.length);
      at = underWay[underWay.length - 1 - place] ?? (underWay[0] as typeof at);
      at.step = pick(NEXT[at.step] ?? [""]);
      if (at.step === "") {
        underWay.splice(underWay.indexOf(at), 1);
        continue;
      }
    }
    const data = {
      ...(amount === undefined ? {} : { amountRequested: amount }),
      ...(random() < 0.07 ? {} : { resource: pick(people) }),
    };
    const stamp = new Date(time).toISOString();
    lines.push(
      JSON.stringify({ stream: `application/${at.key}`, type: at.step, time: stamp, data }),
    );
  }
  return lines;
}
