/** Decodes preview.bin, the frames of a whole show. `docs/graph.md` describes the format. */

/** The frames of a show, ready to draw. */
export interface Show {
  readonly leds: number;
  readonly fps: number;
  readonly frames: number;
  /** Each frame: all red bytes, all green, all blue of the stored LEDs. */
  readonly planes: Uint8Array;
  /** The strip is symmetric and only its second half is stored. */
  readonly symmetric: boolean;
}

const HEADER_BYTES = 16;
const MAGIC = "K1PV";

/** Return the frames; raise RangeError where the file is damaged. */
export async function decodeShow(file: ArrayBuffer): Promise<Show> {
  if (file.byteLength < HEADER_BYTES) throw new RangeError("The preview is shorter than its header.");
  const head = new DataView(file);
  const magic = String.fromCharCode(...new Uint8Array(file, 0, 4));
  if (magic !== MAGIC || head.getUint8(4) !== 1) throw new RangeError("This is no preview of version 1.");
  const symmetric = (head.getUint8(5) & 1) === 1;
  const leds = head.getUint16(6, true);
  const fps = head.getUint16(8, true);
  const frames = head.getUint32(12, true);
  const planes = await inflate(file.slice(HEADER_BYTES));
  const size = 3 * (symmetric ? leds / 2 : leds);
  if (planes.length !== frames * size) throw new RangeError("The preview does not hold all of its frames.");
  for (let at = size; at < planes.length; at += 1) planes[at] = ((planes[at] ?? 0) + (planes[at - size] ?? 0)) & 255;
  return { leds, fps, frames, planes, symmetric };
}

/** Return the index of the frame that a strip shows at a time; each frame stays until the next. */
export function frameAt({ fps, frames }: Show, ms: number): number {
  return Math.min(Math.max(Math.floor((ms * fps) / 1000), 0), frames - 1);
}

/** Write a frame into the pixels of an image that is one LED high. */
export function drawFrame({ leds, planes, symmetric }: Show, frame: number, pixels: Uint8ClampedArray): void {
  const stored = symmetric ? leds / 2 : leds;
  const start = frame * 3 * stored;
  for (let led = 0; led < leds; led += 1) {
    const place = symmetric ? (led < stored ? stored - 1 - led : led - stored) : led;
    const at = 4 * led;
    pixels[at] = planes[start + place] ?? 0;
    pixels[at + 1] = planes[start + stored + place] ?? 0;
    pixels[at + 2] = planes[start + 2 * stored + place] ?? 0;
    pixels[at + 3] = 255;
  }
}

async function inflate(data: ArrayBuffer): Promise<Uint8Array> {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
