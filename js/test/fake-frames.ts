/** Frames as far as this side of the border knows them: the true header, and JSON where wasm's sections are. */
import type { Recorded } from "./columns.js";

const HEADER = 80;

/** One frame for each commit. A position of 0 makes it a frame of a device. */
export function framesOf(commits: readonly Recorded[]): Uint8Array {
  return concat(commits.map(frameOf));
}

export function parseFrames(bytes: Uint8Array): Recorded[] {
  const commits: Recorded[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at + 8, true);
    commits.push(JSON.parse(new TextDecoder().decode(bytes.slice(at + HEADER, at + length))));
    at += length;
  }
  return commits;
}

function frameOf(commit: Recorded): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(commit));
  const frame = new Uint8Array(HEADER + body.length);
  frame.set(new TextEncoder().encode("TIDE"));
  frame.set(body, HEADER);
  const view = new DataView(frame.buffer);
  view.setUint8(4, 1);
  view.setUint8(5, commit.first > 0 ? 1 : 0);
  view.setUint32(8, frame.length, true);
  view.setBigUint64(32, BigInt(commit.first), true);
  view.setUint32(40, 1, true);
  view.setUint32(44, commit.events.length, true);
  return frame;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
