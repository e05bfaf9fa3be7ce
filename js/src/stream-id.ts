/** Names of streams as they are stored: `kind/key`. */
import { tidelogError } from "./errors.js";

/** The name of a stream. Throws `invalid_stream`. */
export function streamOf(kind: string, key: string): string {
  const stream = `${kind}/${key}`;
  checkStreamId(stream);
  return stream;
}

/** Throws `invalid_stream`. */
export function checkStreamId(stream: unknown): void {
  const valid =
    typeof stream === "string" &&
    /^[^/]+\/./su.test(stream) &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    !/[\u0000-\u001f\u007f]/.test(stream) &&
    // No UTF-16 unit takes more than three bytes.
    (stream.length * 3 <= 256 || new TextEncoder().encode(stream).length <= 256);
  if (!valid) throw tidelogError("invalid_stream", { stream });
}
