import { useDeferredValue, useMemo, useState } from "react";
import { useStatus } from "tidelog/react";
import type { OfflineShell } from "../service-worker/register.ts";
import { Notices } from "../shared/notices.tsx";
import { OpeningProblem } from "../shared/problem.tsx";
import { formatCount, plural, statusToProgress } from "../shared/status.ts";
import { StatusLine } from "../shared/status-line.tsx";
import { StoragePanel } from "../shared/storage-panel.tsx";
import type { Work } from "../shared/task.ts";
import { application } from "./application.ts";
import { Counts } from "./counts.tsx";
import { Detail } from "./detail.tsx";
import { ApplicationList } from "./list.tsx";
import { loans } from "./log.ts";
import { usePast } from "./past.ts";
import { useSelected } from "./route.ts";
import { useSampled } from "./sampled.ts";
import { searchRows, summarise } from "./summary.ts";
import { TimeTravel } from "./time-travel.tsx";

const ROWS = loans.rows(application);
const RENDER_EVERY_MS = 120;

export function App({ shell }: { shell: OfflineShell }) {
  const live = useSampled(ROWS, RENDER_EVERY_MS);
  const past = usePast();
  const { view } = past;
  const rows = useMemo(() => view?.rows(application) ?? live, [view, live]);
  const { phase } = useStatus(loans);
  const selected = useSelected();
  const [text, setText] = useState("");
  const [status, setStatus] = useState<string>();
  const search = useDeferredValue(useMemo(() => ({ text, status }), [text, status]));
  const summary = useMemo(() => summarise(rows), [rows]);
  const found = useMemo(() => searchRows(rows, search), [rows, search]);

  return (
    <div
      className="desk"
      data-selected={selected !== undefined}
      data-as-of={view === undefined ? "now" : view.position}
    >
      <header className="top">
        <div className="title">
          <h1>
            <a href="/" aria-label="Tidelog demos">
              <img src="/icons/icon-192.png" alt="" width="32" height="32" />
            </a>
            Loan desk
          </h1>
          <StatusLine log={loans} shell={shell} />
        </div>
        <PullProgress />
        <div className="headline">
          <p data-testid="application-count">
            <strong>{formatCount(summary.applications)}</strong>{" "}
            {summary.applications === 1 ? "application" : "applications"}
          </p>
          <p data-testid="approved-count">
            <strong>{formatCount(summary.approved)}</strong> approved
          </p>
        </div>
        <OpeningProblem log={loans} />
        <Notices log={loans} />
        <TimeTravel past={past} />
        <StoragePanel log={loans} rebuild={rebuild} />
      </header>
      <div className="panes">
        <section className="browse" aria-label="Applications">
          <Counts summary={summary} selected={status} onSelect={setStatus} />
          <div className="search">
            <input
              type="search"
              aria-label="Search applications"
              placeholder="Id, status or resource"
              autoComplete="off"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
            <p aria-live="polite">
              {found.length === rows.length ? "" : `${plural(found.length, "match", "matches")}`}
            </p>
          </div>
          {found.length > 0 ? (
            // A new search is a new list, at its top.
            <ApplicationList
              key={`${search.status} ${search.text}`}
              rows={found}
              selected={selected}
            />
          ) : (
            <p className="empty">{emptyWords(rows.length, phase)}</p>
          )}
        </section>
        <Detail selected={selected} past={view} />
      </div>
    </div>
  );
}

const rebuild: Work = async (signal, tell) => {
  await loans.rebuild(application, {
    signal,
    onProgress: ({ done, total }) =>
      tell({ words: `${formatCount(done)} of ${formatCount(total)} events`, done, total }),
  });
  return "Every row is built anew from the log";
};

/** The bar stays until everything is here; after that, how much that is. */
function PullProgress() {
  const status = useStatus(loans);
  const progress = statusToProgress(status);
  if (progress === undefined) {
    return <p className="on-device">{plural(status.position, "event")} on this device</p>;
  }
  const { label, done, total } = progress;
  return (
    <div className="pull">
      {/* The status line above has the numbers. */}
      <label htmlFor="pull-progress" className="visually-hidden">
        {label}
      </label>
      <progress
        id="pull-progress"
        data-testid="progress"
        max={Math.max(total, 1)}
        {...(total > 0 ? { value: done } : {})}
      />
    </div>
  );
}

function emptyWords(rows: number, phase: string): string {
  if (rows > 0) return "No application matches. Try another word or another status.";
  if (phase === "opening" || phase === "connecting" || phase === "catching-up")
    return "Applications appear here as they arrive.";
  if (phase === "offline")
    return "Nothing on this device yet. Applications arrive when the server can be reached.";
  return "The log has no applications yet.";
}
