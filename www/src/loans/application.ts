/** The stream kind `application`: one loan application, folded from its steps. */
import { stream } from "tidelog";
import * as z from "zod";
import "../shared/zod-setup.ts";

/** Steps of an application (`A_`), its offers (`O_`) and the work on it (`W_`), as the bank named them. */
const ACTIVITIES = [
  "A_SUBMITTED",
  "A_PARTLYSUBMITTED",
  "A_PREACCEPTED",
  "A_ACCEPTED",
  "A_FINALIZED",
  "A_APPROVED",
  "A_REGISTERED",
  "A_ACTIVATED",
  "A_DECLINED",
  "A_CANCELLED",
  "O_SELECTED",
  "O_CREATED",
  "O_SENT",
  "O_SENT_BACK",
  "O_ACCEPTED",
  "O_DECLINED",
  "O_CANCELLED",
  "W_Afhandelen leads",
  "W_Beoordelen fraude",
  "W_Completeren aanvraag",
  "W_Nabellen incomplete dossiers",
  "W_Nabellen offertes",
  "W_Valideren aanvraag",
  "W_Wijzigen contractgegevens",
] as const;
const LIFECYCLE = ["schedule", "start", "complete"] as const;

export const APPROVED = "A_APPROVED";

export interface Application {
  /** The last `A_` activity that was completed; empty before the first. */
  readonly status: string;
  readonly amountRequested: number | undefined;
  /** Milliseconds since 1970; undefined before `A_SUBMITTED`. */
  readonly submittedAt: number | undefined;
  readonly events: number;
  /** Every `A_` activity that was completed, in order, each once. */
  readonly reached: readonly string[];
  /** Who worked on it, in order, each once. */
  readonly resources: readonly string[];
}

/** What the loan desk reads of a payload. */
const step = z.looseObject({
  resource: z.string().optional(),
  amountRequested: z.number().optional(),
});

const initial: Application = {
  status: "",
  amountRequested: undefined,
  submittedAt: undefined,
  events: 0,
  reached: [],
  resources: [],
};

export const application = stream("application", {
  version: 1,
  prefix: "",
  events: stepsOf(ACTIVITIES, LIFECYCLE, step),
  initial,
  evolve: (state, event) => foldStep(state, event.name, event.occurredAt, event.data as Step),
});

export type Step = z.infer<typeof step>;

/** One step of an application. */
export function foldStep(state: Application, name: string, time: number, data: Step): Application {
  const [activity, phase] = splitName(name);
  const { resource } = data;
  const next: { -readonly [Field in keyof Application]: Application[Field] } = {
    ...state,
    events: state.events + 1,
    resources: resource === undefined ? state.resources : including(state.resources, resource),
  };
  if (phase === "complete" && activity.startsWith("A_")) {
    next.status = activity;
    next.reached = including(state.reached, activity);
    if (activity === "A_SUBMITTED") {
      next.submittedAt = time;
      next.amountRequested = data.amountRequested;
    }
  }
  return next;
}

/** `A_SUBMITTED.complete` → activity and phase. */
export function splitName(name: string): readonly [activity: string, phase: string] {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot + 1)];
}

function including(list: readonly string[], item: string): readonly string[] {
  return list.includes(item) ? list : [...list, item];
}

function stepsOf<Schema>(
  activities: readonly string[],
  phases: readonly string[],
  schema: Schema,
): { readonly [name: string]: Schema } {
  return Object.fromEntries(
    activities.flatMap((activity) => phases.map((phase) => [`${activity}.${phase}`, schema])),
  );
}
