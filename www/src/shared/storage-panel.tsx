/** What this device holds of a log, and everything a person can do about it. */
import { type ChangeEvent, useId, useRef, useState, useSyncExternalStore } from "react";
import type { ExportOptions, LogMembers, StorageInfo } from "tidelog";
import { useStatus } from "tidelog/react";
import "./storage.css";
import { CHOICES, keepFromNow, keepOf, keepToWords, textToKeep } from "./keep.ts";
import { formatBytes, formatCount, plural } from "./status.ts";
import { type Task, type TaskState, useTask, type Work } from "./task.ts";

interface StoragePanelProps {
  readonly log: LogMembers;
  /** Folds of the page from the log anew. */
  readonly rebuild: Work;
}

export function StoragePanel(props: StoragePanelProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details
      className="storage"
      data-testid="storage"
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>Storage</summary>
      {/* Looking costs something: not before somebody wants to see it. */}
      {isOpen && <Panel {...props} />}
    </details>
  );
}

function Panel({ log, rebuild }: StoragePanelProps) {
  const info = useSyncExternalStore(log.storage.subscribe, log.storage.getSnapshot);
  const task = useTask();
  return (
    <div className="storage-body">
      <Held info={info} />
      <Keeping log={log} info={info} />
      <Actions log={log} info={info} rebuild={rebuild} task={task} />
      <TaskLine task={task} />
    </div>
  );
}

function Held({ info }: { info: StorageInfo }) {
  const { events, oldest, bytes, frames, segments, gaps, quarantined, lost } = info;
  const missing = gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  return (
    <dl>
      <Fact name="Events on this device" testId="storage-events">
        {formatCount(events)}
        {oldest > 1 && <>, from event {formatCount(oldest)} on</>}
      </Fact>
      <Fact name="Their size" testId="storage-bytes">
        {formatBytes(bytes)} in {plural(frames, "frame")}, {formatCount(segments)} of them sealed
      </Fact>
      {missing > 0 && (
        <Fact name="Only on the server" testId="storage-gap">
          {plural(missing, "event")}: {gaps.map(gapToWords).join(", ")}. Histories fetch them when
          you look.
        </Fact>
      )}
      {quarantined > 0 && (
        <Fact name="Damaged and set aside" testId="storage-damaged">
          {plural(quarantined, "frame")}
        </Fact>
      )}
      {lost > 0 && (
        <Fact name="Of a history that the server lost" testId="storage-lost">
          {plural(lost, "frame")}
        </Fact>
      )}
      <SiteUse info={info} />
    </dl>
  );
}

function SiteUse({ info: { usage, quota } }: { info: StorageInfo }) {
  if (usage === undefined || quota === undefined) return null;
  return (
    <Fact name="This site uses" testId="storage-quota">
      {formatBytes(usage)} of {formatBytes(quota)}
      <meter min={0} max={quota} value={usage} aria-hidden="true" />
    </Fact>
  );
}

function Fact({
  name,
  testId,
  children,
}: {
  name: string;
  testId: string;
  children: React.ReactNode;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-testid={testId}>{children}</dd>
    </div>
  );
}

/** Whether the browser may delete it, and how much of the log is wanted here at all. */
function Keeping({ log, info }: { log: LogMembers; info: StorageInfo }) {
  const id = useId();
  const [answer, setAnswer] = useState("");
  const ask = () =>
    log.storage.persist().then(
      (granted) => setAnswer(granted ? "" : "The browser does not promise it now."),
      (error: unknown) => setAnswer(String(error)),
    );
  return (
    <div className="keeping">
      <p data-testid="storage-persisted">
        {info.persisted ? (
          "The browser keeps it until you delete it."
        ) : (
          <>
            The browser may delete it when the disk is full.{" "}
            <button type="button" onClick={ask}>
              Ask to keep it
            </button>{" "}
            <span role="status">{answer}</span>
          </>
        )}
      </p>
      <p>
        <label htmlFor={id}>Keep on this device</label>{" "}
        <select
          id={id}
          value={String(keepOf(log.name))}
          onChange={(event) => keepFromNow(log.name, textToKeep(event.target.value))}
        >
          {CHOICES.map((keep) => (
            <option key={keep} value={String(keep)}>
              {keepToWords(keep)}
            </option>
          ))}
        </select>{" "}
        <span className="hint">
          Keeping less frees space: older events leave this device once a snapshot stands for them.
          What you see stays the same; a history fetches what is missing from the server.
        </span>
      </p>
    </div>
  );
}

interface ActionsProps extends StoragePanelProps {
  readonly info: StorageInfo;
  readonly task: Task;
}

function Actions({ log, info, rebuild, task }: ActionsProps) {
  const { pending, parked } = useStatus(log);
  const busy = task.state.kind === "running";
  const picker = useRef<HTMLInputElement>(null);
  const save = (label: string, options: ExportOptions, file: string) =>
    task.start(label, (signal, tell) => download(log, { ...options, signal }, file, tell));
  const onFile = (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    event.target.value = "";
    if (file) task.start(`Importing ${file.name}`, importFile(log, file));
  };
  const { name } = log;
  return (
    <div className="actions">
      <button
        type="button"
        disabled={busy}
        onClick={() => save("Exporting", { format: "ndjson" }, `${name}.ndjson`)}
      >
        Export as text
      </button>
      <button
        type="button"
        disabled={busy}
        onClick={() => save("Exporting", { format: "frames" }, `${name}.frames`)}
      >
        Export as frames
      </button>
      {pending + parked > 0 && (
        <button
          type="button"
          disabled={busy}
          onClick={() => save("Exporting", { what: "unconfirmed" }, `${name}-not-confirmed.ndjson`)}
        >
          Export what only this device has
        </button>
      )}
      {info.lost + info.quarantined > 0 && (
        <button
          type="button"
          disabled={busy}
          onClick={() =>
            save("Exporting", { format: "frames", what: "lost" }, `${name}-lost.frames`)
          }
        >
          Export what was set aside
        </button>
      )}
      <button type="button" disabled={busy} onClick={() => picker.current?.click()}>
        Import a file
      </button>
      <input
        ref={picker}
        type="file"
        accept=".ndjson,.frames"
        aria-label="File to import"
        hidden
        onChange={onFile}
      />
      <button
        type="button"
        disabled={busy}
        onClick={() => task.start("Checking", (signal, tell) => verify(log, signal, tell))}
      >
        Check every event
      </button>
      <button type="button" disabled={busy} onClick={() => task.start("Building anew", rebuild)}>
        Build the page anew
      </button>
      <button
        type="button"
        disabled={busy}
        onClick={() => task.start("Tidying up", () => tidyUp(log))}
      >
        Tidy up
      </button>
    </div>
  );
}

function TaskLine({ task: { state, cancel } }: { task: Task }) {
  return (
    <div className="task" data-testid="storage-task" data-state={state.kind}>
      {state.kind === "running" && (
        <>
          <label>
            {state.label}
            {state.progress.words === "" ? "…" : `: ${state.progress.words}`}
            <progress max={1} {...shareOf(state)} />
          </label>
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        </>
      )}
      <p role="status">{state.kind === "done" ? state.words : ""}</p>
      <p role="alert">{state.kind === "failed" ? state.words : ""}</p>
    </div>
  );
}

function shareOf({ progress }: TaskState & { kind: "running" }): { value?: number } {
  const { done, total } = progress;
  return done === undefined || total === undefined ? {} : { value: done / Math.max(total, 1) };
}

function gapToWords({ from, to }: { from: number; to: number }): string {
  return `${formatCount(from)} to ${formatCount(to)}`;
}

async function download(
  log: LogMembers,
  options: ExportOptions,
  file: string,
  tell: Parameters<Work>[1],
): Promise<string> {
  const stream = log.export({
    ...options,
    onProgress: ({ done, total }) =>
      tell({ words: `${formatCount(done)} of ${formatCount(total)} events`, done, total }),
  });
  const blob = await new Response(stream).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = file;
  link.click();
  // The browser has begun to save it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return `${file}: ${formatBytes(blob.size)}`;
}

function importFile(log: LogMembers, file: File): Work {
  return async (signal, tell) => {
    await log.ready();
    const { events, skipped } = await log.import(file, {
      signal,
      onProgress: ({ bytes, events }) =>
        tell({ words: plural(events, "event"), done: bytes, total: file.size }),
    });
    const left = skipped > 0 ? `, ${formatCount(skipped)} were here already` : "";
    return `${plural(events, "event")} imported${left}`;
  };
}

async function verify(
  log: LogMembers,
  signal: AbortSignal,
  tell: Parameters<Work>[1],
): Promise<string> {
  const { events } = await log.verify({
    signal,
    onProgress: ({ done, total }) =>
      tell({ words: `${formatCount(done)} of ${formatCount(total)} events`, done, total }),
  });
  return `${plural(events, "event")}: every checksum and hash is right`;
}

/** What else happens by itself when the page is idle. */
async function tidyUp(log: LogMembers): Promise<string> {
  await log.storage.compact();
  const saved = await log.storage.snapshot();
  const { frames } = await log.storage.refresh();
  return `${plural(frames, "frame")}; ${saved ? "a snapshot is saved" : "another tab saves snapshots"}`;
}
