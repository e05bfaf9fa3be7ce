/** Tidelog by its public interface. */
import { createLog, type Row, stream } from "tidelog";
import * as z from "zod";
import "../../shared/zod-setup.ts";
import {
  foldLoan,
  KIND,
  type Loan,
  type LoanData,
  type LoanEvent,
  streamToKey,
  UNBORN,
} from "../loan.ts";
import { STEPS } from "../steps.ts";
import type { OpenOptions, Store, Subject } from "./subject.ts";

const step = z.looseObject({
  resource: z.string().optional(),
  amountRequested: z.number().optional(),
});

const application = stream(KIND, {
  version: 1,
  prefix: "",
  events: Object.fromEntries(STEPS.map((name) => [name, step])),
  initial: UNBORN,
  evolve: (loan: Loan, event): Loan => foldLoan(loan, event.name, event.data as LoanData),
  commands: () => ({
    take: (_loan, step: { readonly type: string; readonly data: LoanData }) => ({
      event: step.type,
      data: step.data,
    }),
  }),
});

export const subject: Subject = {
  async open(database: string, { strict, snapshots }: OpenOptions): Promise<Store> {
    const log = createLog({
      name: database,
      streams: { application },
      durability: strict ? "strict" : "relaxed",
      snapshots,
      // Else the first durable append asks the browser whether it keeps this site's data.
      persist: "manual",
    });
    await log.ready();
    const append = ({ stream, type, data }: LoanEvent) => log.append([{ stream, type, data }]);
    return {
      *rows() {
        const rows: readonly Row<Loan>[] = log.rows(application).getSnapshot();
        for (const { key, state } of rows) yield [key, state];
      },
      async importLines(text) {
        await log.import(text, { format: "ndjson" });
      },
      append: (event) => append(event).durable,
      async burst(events) {
        await Promise.all(events.map((event) => append(event).durable));
      },
      async subscribe(key, listener) {
        return log.row(application, key).subscribe(listener);
      },
      command({ stream, type, data }) {
        log.application(streamToKey(stream)).take({ type, data });
      },
      async history(stream) {
        return (await log.history(application, streamToKey(stream))).length;
      },
      async settle() {
        await log.storage.compact();
        if (snapshots && !(await log.storage.snapshot())) throw new Error("no snapshot was saved");
      },
      close: () => log.close(),
    };
  },
};
