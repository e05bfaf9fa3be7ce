/**
 * Draws the app's icons into `public/icons`: waves of a tide on deep blue. Run by hand
 * (`npm run icons`) when the drawing changes; the PNG files are committed.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { crc32, deflateSync } from "node:zlib";

const SAMPLES = 4;
const BACK = [13, 59, 94];
const WAVES = [
  { level: 0.4, height: 0.055, phase: 0.0, color: [45, 156, 178] },
  { level: 0.56, height: 0.05, phase: 2.1, color: [122, 208, 205] },
  { level: 0.72, height: 0.045, phase: 4.3, color: [240, 250, 249] },
];

const folder = fileURLToPath(new URL("../public/icons/", import.meta.url));
mkdirSync(folder, { recursive: true });
write("icon-192.png", 192, { corner: 0.22, scale: 1 });
write("icon-512.png", 512, { corner: 0.22, scale: 1 });
write("maskable-512.png", 512, { corner: 0, scale: 0.8 });
write("apple-touch-180.png", 180, { corner: 0, scale: 1 });
write("favicon-32.png", 32, { corner: 0.22, scale: 1 });

function write(name, size, shape) {
  writeFileSync(folder + name, png(size, size, draw(size, shape)));
}

/** RGBA pixels, each the mean of SAMPLES² points. */
function draw(size, shape) {
  const pixels = new Uint8Array(size * size * 4);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const sum = [0, 0, 0, 0];
      for (let i = 0; i < SAMPLES * SAMPLES; i++) {
        const u = (x + ((i % SAMPLES) + 0.5) / SAMPLES) / size;
        const v = (y + (Math.floor(i / SAMPLES) + 0.5) / SAMPLES) / size;
        const color = colorAt(u, v, shape);
        if (color !== undefined) {
          for (let c = 0; c < 3; c++) sum[c] += color[c];
          sum[3] += 1;
        }
      }
      const at = (y * size + x) * 4;
      for (let c = 0; c < 3; c++) pixels[at + c] = sum[3] === 0 ? 0 : Math.round(sum[c] / sum[3]);
      pixels[at + 3] = Math.round((255 * sum[3]) / (SAMPLES * SAMPLES));
    }
  }
  return pixels;
}

/** The colour at a point of the unit square; undefined outside the rounded corners. */
function colorAt(u, v, { corner, scale }) {
  const dx = Math.max(corner - u, u - (1 - corner), 0);
  const dy = Math.max(corner - v, v - (1 - corner), 0);
  if (dx * dx + dy * dy > corner * corner) return undefined;
  const depth = (v - 0.5) / scale + 0.5;
  const along = (u - 0.5) / scale + 0.5;
  let color = BACK;
  for (const wave of WAVES) {
    const line = wave.level + wave.height * Math.sin(along * 2 * Math.PI + wave.phase);
    if (depth > line && depth < line + 0.105) color = wave.color;
  }
  return color;
}

/** A PNG file (RGBA, 8 bits; https://www.w3.org/TR/png-3/) of the pixels. */
function png(width, height, pixels) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6, 0, 0, 0], 8);
  const lines = Buffer.alloc(height * (width * 4 + 1));
  for (let y = 0; y < height; y++) {
    lines.set(pixels.subarray(y * width * 4, (y + 1) * width * 4), y * (width * 4 + 1) + 1);
  }
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  out.set(body, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
