/** The selected application is the page's hash: `#/173688`. It can be linked, and Back closes it. */
import { useSyncExternalStore } from "react";

export function useSelected(): string | undefined {
  return useSyncExternalStore(subscribe, () => hashToKey(location.hash));
}

export function keyToHash(key: string | undefined): string {
  return key === undefined ? "#/" : `#/${encodeURIComponent(key)}`;
}

export function hashToKey(hash: string): string | undefined {
  const text = hash.replace(/^#\/?/, "");
  if (text === "") return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function select(key: string | undefined): void {
  location.hash = keyToHash(key);
}

function subscribe(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}
