/** UUIDs: version 7 for new ids, version 8 for those derived from a commit's id. */

/** Random bytes are asked for in bulk: a burst of commands makes many ids. */
const pool = new Uint8Array(4096);
let used = pool.length;
const DIGITS = Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
const HYPHEN = 0x2d;

/** A new UUIDv7 (RFC 9562): 48 bits of time, then random bits, so that ids sort by when they were made. */
export function newId(): string {
  if (used + 16 > pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  const bytes = pool.subarray(used, used + 16);
  used += 16;
  const now = Date.now();
  const [high, low] = [Math.floor(now / 0x10000), now % 0x10000];
  bytes[0] = high >>> 24;
  bytes[1] = high >>> 16;
  bytes[2] = high >>> 8;
  bytes[3] = high;
  bytes[4] = low >>> 8;
  bytes[5] = low;
  return bytesToUuid(bytes, 7);
}

/**
 * The k-th id that a commit's command asked for, from 0: the commit's bytes with version nibble 8 and k
 * added to the tail, so a rerun gives the same ids and no two commits share one.
 */
export function derivedId(commitId: string, k: number): string {
  const bytes = new Uint8Array(16);
  const hex = commitId.replaceAll("-", "");
  for (let i = 0; i < 16; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  const tail = new DataView(bytes.buffer);
  tail.setUint32(12, tail.getUint32(12) + k);
  return bytesToUuid(bytes, 8);
}

function bytesToUuid(bytes: Uint8Array, version: number): string {
  bytes[6] = (version << 4) | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  // One text from all its characters at once; joined from parts it would stay in parts.
  const chars: number[] = [];
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) chars.push(HYPHEN);
    const byte = bytes[i] ?? 0;
    chars.push(DIGITS[byte >>> 4] ?? 0, DIGITS[byte & 15] ?? 0);
  }
  return String.fromCharCode.apply(null, chars);
}
