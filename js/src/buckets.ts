/**
 * The texts that snapshots are made of. A fold's rows are spread over buckets by a hash of their key, so
 * that only buckets with a changed row are written again. Each text names its bucket and how many there
 * are: texts that do not fit together are no snapshot.
 */

/** One row: key, version, created, updated, last type, state, and the event that is not known. */
export type BucketRow = readonly [
  key: string,
  version: number,
  createdAt: number,
  updatedAt: number,
  lastType: string,
  state: unknown,
  unfolded?: readonly [type: string, schema: number],
];

/** A bucket as it is stored. */
export interface Bucket {
  readonly bucket: number;
  readonly buckets: number;
  readonly rows: readonly BucketRow[];
}

/** So many rows a bucket holds at most on average, and so many right after the buckets were made anew. */
const MOST = 256;
const FRESH = 128;

/** How many buckets for `rows` rows: `now`, unless that is too few. Always a power of two. */
export function bucketCount(rows: number, now: number): number {
  if (now > 0 && rows <= now * MOST) return now;
  let count = 1;
  while (count * FRESH < rows) count *= 2;
  return count;
}

/** The bucket of a key: FNV-1a (Fowler, Noll, Vo; 32 bits) over its UTF-16 units, modulo a power of two. */
export function bucketOf(key: string, buckets: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  // The low bits of FNV-1a are its weakest; the high ones are folded in.
  return ((hash ^ (hash >>> 16)) >>> 0) & (buckets - 1);
}

/** Reads a text. Throws if it is not one of {@link bucketToText}. */
export function textToBucket(text: string): Bucket {
  const { bucket, buckets, rows } = JSON.parse(text) as Partial<Bucket>;
  const valid =
    Number.isInteger(bucket) &&
    Number.isInteger(buckets) &&
    Array.isArray(rows) &&
    rows.every(isRow);
  if (!valid) throw new Error("it is not a bucket of rows");
  return { bucket, buckets, rows } as Bucket;
}

export function bucketToText(bucket: Bucket): string {
  return JSON.stringify(bucket);
}

function isRow(row: unknown): row is BucketRow {
  return Array.isArray(row) && row.length >= 6 && typeof row[0] === "string" && row[1] > 0;
}
