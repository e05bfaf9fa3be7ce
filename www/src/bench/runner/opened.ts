/** What every measurement needs: an open subject, and events that are no part of the data. */
import { EXTRA, type LoanEvent, PREFIX } from "../loan.ts";
import { subjectInfo } from "../subjects/registry.ts";
import type { OpenOptions, Store, SubjectId } from "../subjects/subject.ts";

/** Keeps what was opened until the page goes: the host weighs it after the answer. */
export const held: Store[] = [];

export async function openSubject(
  id: SubjectId,
  database: string,
  options: OpenOptions = { strict: true, snapshots: true },
): Promise<Store> {
  const { subject } = await subjectInfo(id).load();
  const store = await subject.open(database, options);
  held.push(store);
  return store;
}

/** A step of an application that the data does not have. */
export function extraEvent(i: number, key = `${EXTRA}${i % 100}`): LoanEvent {
  return {
    stream: `${PREFIX}${key}`,
    type: "W_Completeren aanvraag.start",
    time: new Date(1_330_000_000_000 + i).toISOString(),
    data: { resource: String(10_000 + (i % 70)) },
  };
}
