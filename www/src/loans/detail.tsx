import { useEffect, useRef, useState } from "react";
import type { PastView, RecordedEvent } from "tidelog";
import { useRow, useStatus } from "tidelog/react";
import { plural } from "../shared/status.ts";
import { application, splitName } from "./application.ts";
import { erasureToWords } from "./erasure.ts";
import { formatDate, formatMoney, formatTime } from "./format.ts";
import { loans } from "./log.ts";
import { select } from "./route.ts";
import { statusToTone, statusToWords } from "./summary.ts";

/** The selected application: its state, and every event that made it. */
export function Detail({
  selected,
  past,
}: {
  selected: string | undefined;
  /** A past state instead of today's. */
  past: PastView | undefined;
}) {
  if (selected === undefined) {
    return (
      <section className="detail nothing" aria-label="History">
        <p>Choose an application to see everything that happened to it.</p>
      </section>
    );
  }
  return <Selected key={selected} applicationKey={selected} past={past} />;
}

interface SelectedProps {
  readonly applicationKey: string;
  readonly past: PastView | undefined;
}

function Selected({ applicationKey, past }: SelectedProps) {
  const today = useRow(loans, application, applicationKey);
  const row = past ? past.row(application, applicationKey) : today;
  const { rebuilding } = useStatus(loans);
  const edition = `${today?.version ?? 0} ${rebuilding.length > 0}`;
  const { events: all, problem } = useHistory(applicationKey, edition);
  const events = past ? all?.filter(({ position = 0 }) => isBy(position, past)) : all;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);

  return (
    <section className="detail" aria-label="History">
      <button type="button" className="back" onClick={() => select(undefined)}>
        ‹ Back to the list
      </button>
      <h2 ref={heading} tabIndex={-1}>
        Application {applicationKey}
      </h2>
      {row !== undefined && (
        <dl>
          <div>
            <dt>Status</dt>
            <dd>
              <span className="badge" data-tone={statusToTone(row.state.status)}>
                {statusToWords(row.state.status)}
              </span>
            </dd>
          </div>
          <div>
            <dt>Requested</dt>
            <dd>{formatMoney(row.state.amountRequested)}</dd>
          </div>
          <div>
            <dt>Submitted</dt>
            <dd>{formatDate(row.state.submittedAt)}</dd>
          </div>
          <div>
            <dt>Reached</dt>
            <dd>{row.state.reached.map(statusToWords).join(" → ") || "—"}</dd>
          </div>
        </dl>
      )}
      {problem !== undefined && <p role="alert">{problem}</p>}
      {problem === undefined && events === undefined && (
        <p className="empty">Reading the history…</p>
      )}
      {events?.length === 0 && (
        <p className="empty">
          {past ? "It did not exist by then." : "This device has no application with this id."}
        </p>
      )}
      {events !== undefined && events.length > 0 && <HistoryTable events={events} />}
    </section>
  );
}

/** Pending events, at position 0 here, are none of the past. */
function isBy(position: number, past: PastView): boolean {
  return position > 0 && position <= past.position;
}

function HistoryTable({ events }: { events: readonly RecordedEvent[] }) {
  return (
    <>
      <h3>{plural(events.length, "event")}</h3>
      <div className="history">
        <table>
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">Event</th>
              <th scope="col">Time</th>
              <th scope="col">Resource</th>
              <th scope="col">Position</th>
            </tr>
          </thead>
          <tbody>
            {events.map((event) => (
              <HistoryRow key={event.version} event={event} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function HistoryRow({ event }: { event: RecordedEvent }) {
  const erasure = erasureToWords(event);
  const [activity, phase] = erasure ? [erasure.what, ""] : splitName(event.type);
  const kind = erasure ? "erasure" : activity.slice(0, 1);
  return (
    <tr
      data-testid="history-row"
      data-type={event.type}
      data-kind={kind}
      data-erased={event.erased}
    >
      <td className="number">{event.version}</td>
      <td>
        <span className="activity">{activity}</span>
        {phase !== "" && <span className="phase">.{phase}</span>}
        {erasure && <p className="note">{erasure.reason}</p>}
      </td>
      <td>
        <time dateTime={new Date(event.occurredAt).toISOString()}>
          {formatTime(event.occurredAt)}
        </time>
      </td>
      {event.erased ? (
        <td className="note">Details erased</td>
      ) : (
        <td>{(erasure ? event.actor : resourceOf(event)) ?? "—"}</td>
      )}
      <td className="number">{event.position ?? "pending"}</td>
    </tr>
  );
}

function resourceOf({ data }: RecordedEvent): string | undefined {
  if (typeof data !== "object" || data === null || !("resource" in data)) return undefined;
  return String(data.resource);
}

/** The history, read again when `edition` changes: the stream has a new version, or was folded again after an erasure. */
function useHistory(key: string, edition: string) {
  const [history, setHistory] = useState<{ events?: readonly RecordedEvent[]; problem?: string }>(
    {},
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new edition is a new history
  useEffect(() => {
    let shown = true;
    loans
      .ready()
      .then(() => loans.history(application, key))
      .then(
        (events) => shown && setHistory({ events }),
        (error: unknown) =>
          shown && setHistory({ problem: error instanceof Error ? error.message : String(error) }),
      );
    return () => {
      shown = false;
    };
  }, [key, edition]);
  return history;
}
