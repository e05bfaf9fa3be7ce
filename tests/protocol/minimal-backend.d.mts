import type { Server } from "node:http";

/** A server, not listening yet, with these logs. */
export function backend(names: readonly string[]): Server;
