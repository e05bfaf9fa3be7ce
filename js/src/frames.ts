/**
 * What there is to know of frames on this side of the border: where one ends and which positions it
 * holds. Wasm reads and checks the rest. The layout is stated in crate `tidelog-core`, module `frame`.
 */
import { tidelogError } from "./errors.js";

const HEADER_BYTES = 80;
const MAGIC = 0x45444954; // "TIDE", little-endian
const RECORDED = 1;
/** The header of this format goes on with how many positions are left out. */
const FORMAT_GAPS = 3;
const GAPS_HEADER_BYTES = 88;

/** A whole frame's place in some bytes. */
export interface FramePlace {
  readonly start: number;
  readonly end: number;
  readonly recorded: boolean;
  /** Of a recorded one. */
  readonly firstPosition: number;
  /** The last one that it covers: of an event, or of what is left out behind it. */
  readonly lastPosition: number;
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
    const least = view.getUint8(start + 4) === FORMAT_GAPS ? GAPS_HEADER_BYTES : HEADER_BYTES;
    if (view.getUint32(start, true) !== MAGIC || length < least) {
      throw tidelogError("invalid_import", {
        place: `byte ${start}`,
        problem: "no frame begins here",
        imported: 0,
      });
    }
    const end = start + length;
    if (end > bytes.length) break;
    const gaps = view.getUint8(start + 4) === FORMAT_GAPS;
    const leftOut = gaps ? Number(view.getBigUint64(start + HEADER_BYTES, true)) : 0;
    const firstPosition = Number(view.getBigUint64(start + 32, true));
    const events = view.getUint32(start + 44, true);
    frames.push({
      start,
      end,
      recorded: (view.getUint8(start + 5) & RECORDED) !== 0,
      firstPosition,
      lastPosition: firstPosition + events + leftOut - 1,
      events,
    });
    start = end;
  }
  return frames;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
