/** What a status means, in words. */
import type { Status } from "tidelog";

const COUNT = new Intl.NumberFormat("en");

const TIME = new Intl.DateTimeFormat("en", { timeStyle: "medium", hour12: false });

export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** `1 change`, `2 changes`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `14.2 MB`, in steps of 1,000 as browsers count quotas. */
export function formatBytes(bytes: number): string {
  const step = bytes < 1_000 ? 0 : Math.min(3, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** step;
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${BYTES[step]}`;
}

const BYTES = ["bytes", "KB", "MB", "GB"];

export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly total: number;
}

/** How far reading or pulling is; undefined when there is nothing to wait for. */
export function statusToProgress(status: Status): Progress | undefined {
  const { phase, replayed, position, head } = status;
  if (phase === "opening") {
    return {
      label: "Reading from this device",
      done: replayed?.done ?? 0,
      total: replayed?.total ?? 0,
    };
  }
  if (phase === "catching-up") return { label: "Catching up", done: position, total: head };
  return undefined;
}

/** The words of the status line, most important first. */
export function statusToWords(status: Status): string {
  const words = [phaseToWords(status)];
  if (status.pending > 0) words.push(`${formatCount(status.pending)} pending`);
  if (status.parked > 0) words.push(`${formatCount(status.parked)} parked`);
  if (status.unfolded.length > 0) {
    words.push(
      `${plural(status.unfolded.length, "entry", "entries")} from a newer version of this app`,
    );
  }
  return words.join(" · ");
}

/** When it is tried again, for those who wait; not part of the line, which is read aloud whenever it changes. */
export function statusToRetry({ phase, retryAt }: Status): string | undefined {
  if (retryAt === undefined || (phase !== "blocked" && phase !== "error")) return undefined;
  return `next try ${TIME.format(retryAt)}`;
}

function phaseToWords(status: Status): string {
  const progress = statusToProgress(status);
  switch (status.phase) {
    case "opening":
    case "catching-up":
      return progress && progress.total > 0
        ? `${progress.label} ${formatCount(progress.done)} of ${formatCount(progress.total)}`
        : "Opening…";
    case "connecting":
      return "Connecting…";
    case "offline":
      return "Offline";
    case "live":
      return "Live";
    case "blocked":
      if (status.error?.code === "client_too_old") {
        return "Update needed: reload to get the new version of this app";
      }
      return `Blocked: ${status.error?.message ?? "the server does not take this device's changes"}`;
    case "error":
      return `Error: ${status.error?.message ?? "something went wrong"}`;
    case "closed":
      return "Closed";
    case "local":
      return "On this device only";
  }
}
