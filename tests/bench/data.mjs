/**
 * Writes the loan data as the benchmark page reads it: events only, streams as `application/173688`.
 *
 *     node tests/bench/data.mjs FROM.ndjson.gz TO.ndjson
 */
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined)
  throw new Error("usage: data.mjs FROM.ndjson.gz TO.ndjson");

async function* lines() {
  const input = createReadStream(from).pipe(createGunzip());
  let first = true;
  for await (const line of createInterface({ input })) {
    const { stream, type, time, data } = JSON.parse(line);
    const event = { stream: stream.replace(/^application-/, "application/"), type, time, data };
    yield `${first ? "" : "\n"}${JSON.stringify(event)}`;
    first = false;
  }
}

await pipeline(Readable.from(lines()), createWriteStream(to));
