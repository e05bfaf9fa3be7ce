/** How much of a log a person wants on this device. It is the device's choice, so it is kept on the device. */
import { formatCount } from "./status.ts";

export type Keep = "all" | number;

export const CHOICES: readonly Keep[] = ["all", 50_000, 10_000, 1_000];

/** The choice for a log of this page; everything unless something else was chosen. */
export function keepOf(log: string): Keep {
  return textToKeep(stored(log));
}

/** Takes effect when the log is made, so the page is loaded again. */
export function keepFromNow(log: string, keep: Keep): void {
  localStorage.setItem(keyOf(log), String(keep));
  location.reload();
}

export function keepToRetain(keep: Keep): "all" | { readonly newest: number } {
  return keep === "all" ? "all" : { newest: keep };
}

export function keepToWords(keep: Keep): string {
  return keep === "all" ? "Everything" : `The newest ${formatCount(keep)} events`;
}

export function textToKeep(text: string | null): Keep {
  return CHOICES.find((choice) => String(choice) === text) ?? "all";
}

function stored(log: string): string | null {
  try {
    return localStorage.getItem(keyOf(log));
  } catch {
    // Where storage is forbidden the log says so by itself.
    return null;
  }
}

function keyOf(log: string): string {
  return `keep/${log}`;
}
