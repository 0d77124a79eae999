// @vitest-environment node
import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { decodeShow, drawFrame, frameAt } from "./preview";

/** Return a file of two frames of four LEDs, of which the second half is stored. */
function showFile(deltas: readonly number[]): ArrayBuffer {
  const head = new DataView(new ArrayBuffer(16));
  [..."K1PV"].forEach((letter, index) => head.setUint8(index, letter.charCodeAt(0)));
  head.setUint8(4, 1);
  head.setUint8(5, 1);
  head.setUint16(6, 4, true);
  head.setUint16(8, 50, true);
  head.setUint32(12, 2, true);
  const file = Buffer.concat([Buffer.from(head.buffer), deflateSync(Buffer.from(deltas))]);
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
}

describe("the preview", () => {
  it("is decoded from differences, and mirrored", async () => {
    const show = await decodeShow(showFile([10, 20, 0, 0, 5, 6, 250, 1, 0, 0, 0, 255]));
    expect(show).toMatchObject({ leds: 4, fps: 50, frames: 2 });
    const pixels = new Uint8ClampedArray(16);
    drawFrame(show, 1, pixels);
    expect([...pixels]).toEqual([21, 0, 5, 255, 4, 0, 5, 255, 4, 0, 5, 255, 21, 0, 5, 255]);
  });

  it("shows each frame until the next", async () => {
    const show = await decodeShow(showFile([1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0]));
    expect([-5, 0, 19.9, 20, 500].map((ms) => frameAt(show, ms))).toEqual([0, 0, 0, 1, 1]);
  });

  it("is refused where it is damaged", async () => {
    await expect(decodeShow(showFile([1, 2, 3]))).rejects.toThrow(RangeError);
    await expect(decodeShow(new ArrayBuffer(4))).rejects.toThrow(RangeError);
  });
});
