/** What happened to this device's data, and what is being built, in sentences. */
import type { LogMembers, Status } from "tidelog";
import { useStatus } from "tidelog/react";
import { formatCount } from "./status.ts";

/** Shows only what there is to say. */
export function Notices({ log }: { log: LogMembers }) {
  const status = useStatus(log);
  const sentences = statusToNotices(status);
  if (sentences.length === 0 && status.rebuilding.length === 0) return null;
  return (
    <div className="notices">
      {sentences.map((sentence) => (
        <p key={sentence} role="alert" className="notice-line">
          {sentence}
        </p>
      ))}
      {status.rebuilding.map(({ name, done, total }) => (
        <p key={name} className="rebuilding" data-testid="rebuilding">
          <label htmlFor={`rebuilding-${name}`}>
            Building “{name}” anew: {formatCount(done)} of {formatCount(total)} events
          </label>
          <progress id={`rebuilding-${name}`} max={Math.max(total, 1)} value={done} />
        </p>
      ))}
    </div>
  );
}

/** Sentences about the storage that a person should read. */
export function statusToNotices({ damaged, reset }: Status): readonly string[] {
  const sentences: string[] = [];
  if (damaged !== undefined) {
    const from = `Data on this device is damaged from event ${formatCount(damaged.from)} on`;
    sentences.push(
      damaged.refetch
        ? `${from}. It was set aside and comes again from the server.`
        : `${from}, and nobody else has a copy.`,
    );
  }
  if (reset !== undefined) {
    sentences.push(`This device's copy starts anew from the server (${reset.reason}).`);
  }
  return sentences;
}
