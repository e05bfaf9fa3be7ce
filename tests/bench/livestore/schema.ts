/** One type of event, materialized as a row of one table. */
import { Events, makeSchema, Schema, State } from "@livestore/livestore";

export const events = {
  step: Events.synced({
    name: "v1.Step",
    schema: Schema.Struct({
      id: Schema.String,
      stream: Schema.String,
      type: Schema.String,
      time: Schema.String,
      data: Schema.String,
    }),
  }),
};

export const tables = {
  steps: State.SQLite.table({
    name: "steps",
    columns: {
      id: State.SQLite.text({ primaryKey: true }),
      stream: State.SQLite.text(),
      type: State.SQLite.text(),
      time: State.SQLite.text(),
      data: State.SQLite.text(),
    },
  }),
};

const materializers = State.SQLite.materializers(events, {
  "v1.Step": (step) => tables.steps.insert(step),
});

export const schema = makeSchema({
  events,
  state: State.SQLite.makeState({ tables, materializers }),
});
