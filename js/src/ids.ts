/** UUIDs: version 7 for new ids, version 8 for those derived from a commit's id. */

/** Random bytes are asked for in bulk: a burst of commands makes many ids. */
const pool = new Uint8Array(4096);
let used = pool.length;
const DIGITS = Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
/** The characters of the id that is being made; its hyphens stay. */
const CHARS: number[] = Array.from("00000000-0000-0000-0000-000000000000", (char) =>
  char.charCodeAt(0),
);

/** A new UUIDv7 (RFC 9562): 48 bits of time, then random bits, so that ids sort by when they were made. */
export function newId(): string {
  if (used + 16 > pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  const at = used;
  used += 16;
  const now = Date.now();
  const high = Math.floor(now / 0x10000);
  const low = now % 0x10000;
  pool[at] = high >>> 24;
  pool[at + 1] = high >>> 16;
  pool[at + 2] = high >>> 8;
  pool[at + 3] = high;
  pool[at + 4] = low >>> 8;
  pool[at + 5] = low;
  return bytesToUuid(pool, at, 7);
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
  return bytesToUuid(bytes, 0, 8);
}

/** The UUID of the 16 bytes at `at`, which become it. */
function bytesToUuid(bytes: Uint8Array, at: number, version: number): string {
  bytes[at + 6] = (version << 4) | ((bytes[at + 6] ?? 0) & 0x0f);
  bytes[at + 8] = 0x80 | ((bytes[at + 8] ?? 0) & 0x3f);
  // One text from all its characters at once; joined from parts it would stay in parts.
  let place = 0;
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) place++;
    const byte = bytes[at + i] ?? 0;
    CHARS[place++] = DIGITS[byte >>> 4] ?? 0;
    CHARS[place++] = DIGITS[byte & 15] ?? 0;
  }
  return String.fromCharCode.apply(null, CHARS);
}
