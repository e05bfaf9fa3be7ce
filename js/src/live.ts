/** Values that change, and who is told. */
import type { Live } from "./types.js";

/** A {@link Live} that its owner sets: `set` changes the value at once, `tell` runs the listeners once. */
export class Cell<T> implements Live<T> {
  readonly #listeners = new Set<(value: T) => void>();
  readonly #onUse: () => void;
  #value: T;
  #told: T;

  /** @param onUse called at each subscription: it opens the log */
  constructor(value: T, onUse: () => void) {
    this.#value = value;
    this.#told = value;
    this.#onUse = onUse;
  }

  // Arrow members, so that they can be handed over bare (`useSyncExternalStore(live.subscribe, …)`).
  readonly subscribe = (listener: (value: T) => void): (() => void) => {
    // A wrapper, so that one function subscribed twice is two subscriptions.
    const entry = (value: T) => listener(value);
    this.#listeners.add(entry);
    this.#onUse();
    return () => {
      this.#listeners.delete(entry);
    };
  };

  readonly getSnapshot = (): T => this.#value;

  get watched(): boolean {
    return this.#listeners.size > 0;
  }

  set(value: T): void {
    this.#value = value;
  }

  tell(): void {
    if (Object.is(this.#told, this.#value)) return;
    this.#told = this.#value;
    for (const listener of [...this.#listeners]) callListener(listener, this.#value);
  }
}

/** Calls one listener. Its throw is its own: it reaches the page's error handlers and stops nobody else. */
export function callListener<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}
