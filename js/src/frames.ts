/**
 * What there is to know of frames on this side of the border: where one ends and which positions it
 * holds. Wasm reads and checks the rest. The layout is stated in crate `tidelog-core`, module `frame`.
 */
import { tidelogError } from "./errors.js";

const HEADER_BYTES = 80;
const MAGIC = 0x45444954; // "TIDE", little-endian
const RECORDED = 1;

/** A whole frame's place in some bytes. */
export interface FramePlace {
  readonly start: number;
  readonly end: number;
  readonly recorded: boolean;
  /** Of a recorded one. */
  readonly firstPosition: number;
  readonly events: number;
}

/** True if frames begin like this. */
export function isFrames(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0, true) === MAGIC;
}

/**
 * The frames that `bytes` begin with and hold to their end; what is left is the start of another one.
 * Throws `invalid_import` where no frame begins.
 */
export function framesIn(bytes: Uint8Array): FramePlace[] {
  const view = viewOf(bytes);
  const frames: FramePlace[] = [];
  for (let start = 0; start + HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint32(start + 8, true);
    if (view.getUint32(start, true) !== MAGIC || length < HEADER_BYTES) {
      throw tidelogError("invalid_import", {
        place: `byte ${start}`,
        problem: "no frame begins here",
        imported: 0,
      });
    }
    const end = start + length;
    if (end > bytes.length) break;
    frames.push({
      start,
      end,
      recorded: (view.getUint8(start + 5) & RECORDED) !== 0,
      firstPosition: Number(view.getBigUint64(start + 32, true)),
      events: view.getUint32(start + 44, true),
    });
    start = end;
  }
  return frames;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
