/** Hello, world: one stream, one command, its rows on the page. */
import { createLog, newId, type StandardSchemaV1, stream } from "tidelog";

interface Written {
  readonly text: string;
}

/** A Standard Schema by hand, so that the page holds the package and nothing else. */
const written: StandardSchemaV1<Written> = {
  "~standard": {
    version: 1,
    vendor: "consumer",
    validate: (value) =>
      typeof (value as Written | null)?.text === "string"
        ? { value: value as Written }
        : { issues: [{ message: "a note has a text" }] },
  },
};

const note = stream("note", {
  events: { written },
  initial: { text: "" },
  evolve: { written: (_state, data) => ({ text: data.text }) },
  commands: ({ emit }) => ({
    write: (_state, args: Written) => emit.written(args),
  }),
});

const log = createLog({ name: "notes", streams: { note } });
const notes = log.rows(note);

function show(): void {
  const items = notes.getSnapshot().map((row) => {
    const item = document.createElement("li");
    item.textContent = row.state.text;
    return item;
  });
  document.querySelector("#notes")?.replaceChildren(...items);
}

notes.subscribe(show);
document.querySelector("#write")?.addEventListener("click", async () => {
  await log.ready();
  const receipt = log.note(newId()).write({ text: "Hello, log" });
  await receipt.durable;
  document.body.dataset.durable = receipt.id;
});
