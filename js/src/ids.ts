/** UUIDs: version 7 for new ids, version 8 for those derived from a commit's id. */

/** A new UUIDv7 (RFC 9562): 48 bits of time, then random bits, so that ids sort by when they were made. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = Date.now();
  const head = new DataView(bytes.buffer);
  head.setUint32(0, Math.floor(now / 0x10000));
  head.setUint16(4, now % 0x10000);
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
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}
