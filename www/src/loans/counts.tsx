import { formatCount } from "../shared/status.ts";
import { type Summary, statusToTone, statusToWords } from "./summary.ts";

interface CountsProps {
  readonly summary: Summary;
  readonly selected: string | undefined;
  readonly onSelect: (status: string | undefined) => void;
}

/** How many applications have which last status; a click keeps only those in the list. */
export function Counts({ summary, selected, onSelect }: CountsProps) {
  const largest = summary.byStatus[0]?.count ?? 1;
  return (
    <ul className="counts" data-testid="status-counts" aria-label="Applications by last status">
      {summary.byStatus.map(({ status, count }) => (
        <li key={status}>
          <button
            type="button"
            aria-pressed={status === selected}
            data-status={status}
            data-tone={statusToTone(status)}
            onClick={() => onSelect(status === selected ? undefined : status)}
          >
            <span className="name">{statusToWords(status)}</span>
            <span className="count">{formatCount(count)}</span>
            <meter className="bar" min={0} max={largest} value={count} aria-hidden="true" />
          </button>
        </li>
      ))}
    </ul>
  );
}
