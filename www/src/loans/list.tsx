import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { plural } from "../shared/status.ts";
import { formatDate, formatMoney } from "./format.ts";
import { select } from "./route.ts";
import { type ApplicationRow, statusToTone, statusToWords } from "./summary.ts";

interface ApplicationListProps {
  readonly rows: readonly ApplicationRow[];
  readonly selected: string | undefined;
}

const ROW_HEIGHT = 60;
const PAGE = 10;

/** A list box over all rows of which only those in sight exist. */
export function ApplicationList({ rows, selected }: ApplicationListProps) {
  const scroll = useRef<HTMLDivElement>(null);
  const id = useId();
  /** By key: rows that arrive must not move it. */
  const [active, setActive] = useState(selected);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 8,
  });
  const current = useMemo(
    () =>
      Math.max(
        0,
        rows.findIndex((row) => row.key === active),
      ),
    [rows, active],
  );

  useEffect(() => {
    if (selected !== undefined) setActive(selected);
  }, [selected]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      select(rows[current]?.key);
      return;
    }
    const next = keyToIndex(event.key, current, rows.length);
    if (next === undefined) return;
    event.preventDefault();
    setActive(rows[next]?.key);
    virtualizer.scrollToIndex(next);
  };

  return (
    <div
      ref={scroll}
      className="list"
      role="listbox"
      tabIndex={0}
      aria-label="Applications"
      aria-activedescendant={`${id}-${current}`}
      onKeyDown={onKeyDown}
    >
      <div className="all-rows" role="presentation" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map(({ index, key, start }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the list box has the focus and the keys
            <div
              key={key}
              id={`${id}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={row.key === selected}
              aria-posinset={index + 1}
              aria-setsize={rows.length}
              data-testid="application-row"
              data-key={row.key}
              className={index === current ? "row active" : "row"}
              style={{ height: ROW_HEIGHT, transform: `translateY(${start}px)` }}
              onClick={() => {
                setActive(row.key);
                select(row.key);
              }}
            >
              <RowContent row={row} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

function RowContent({ row }: { row: ApplicationRow }) {
  const { status, amountRequested, submittedAt, events } = row.state;
  return (
    <>
      <span className="id">{row.key}</span>
      <span className="badge" data-tone={statusToTone(status)}>
        {statusToWords(status)}
      </span>
      <span className="amount">{formatMoney(amountRequested)}</span>
      <span className="meta">
        {formatDate(submittedAt)} · {plural(events, "event")}
      </span>
    </>
  );
}

/** Where a key leads from a row; undefined for keys that are none of the list's. */
export function keyToIndex(key: string, current: number, count: number): number | undefined {
  const steps: Readonly<Record<string, number>> = {
    ArrowDown: 1,
    ArrowUp: -1,
    PageDown: PAGE,
    PageUp: -PAGE,
    Home: Number.NEGATIVE_INFINITY,
    End: Number.POSITIVE_INFINITY,
  };
  const step = steps[key];
  return step === undefined ? undefined : Math.max(0, Math.min(count - 1, current + step));
}
