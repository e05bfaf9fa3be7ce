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

/** Every type of event that the data may have. */
export const STEPS: readonly string[] = ACTIVITIES.flatMap((activity) =>
  ["schedule", "start", "complete"].map((phase) => `${activity}.${phase}`),
);
