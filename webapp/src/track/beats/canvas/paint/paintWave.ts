/** Paints a waveform into the pixels of an image: one column at a time, without paths. */
import type { Palette } from "./palette";
import { createColumns, fillColumns, fillFromSamples, type Peaks, type Samples } from "./peaks";
import { spanOf, type View } from "../view";

/** What a waveform is painted from. */
export interface WaveSource {
  readonly peaks: Peaks | null;
  /** The decoded audio, once it is there. */
  readonly samples: Samples | null;
}

/** Paints waveforms; keeps its buffers from one frame to the next. */
export class WavePainter {
  #image: ImageData | null = null;
  #words = new Uint32Array(0);
  #columns = createColumns(0);

  /** Paint the part of the song that the view shows into a rectangle of the canvas, all in device pixels. */
  paint(
    context: CanvasRenderingContext2D,
    { peaks, samples }: WaveSource,
    view: View,
    gain: number,
    colours: Palette["pixels"],
    top: number,
    width: number,
    height: number,
  ): void {
    if (width < 1 || height < 1) return;
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = new ImageData(width, height);
      this.#words = new Uint32Array(this.#image.data.buffer);
      this.#columns = createColumns(width);
    }
    const words = this.#words;
    words.fill(colours.background);
    const middle = Math.floor(height / 2);
    words.fill(colours.middle, middle * width, (middle + 1) * width);
    const msPerColumn = spanOf(view) / width;
    const finest = peaks?.levels[0]?.msPerPeak ?? 0;
    if (peaks !== null) {
      if (samples !== null && msPerColumn < finest) fillFromSamples(samples, view.startMs, msPerColumn, this.#columns);
      else fillColumns(peaks, view.startMs, msPerColumn, this.#columns);
      const scale = (height / 2 - 1) * gain;
      const { low, high, meanLow, meanHigh } = this.#columns;
      for (let x = 0; x < width; x += 1) {
        const top = high[x] ?? 0;
        const bottom = low[x] ?? 0;
        if (top === bottom && top === 0) continue;
        this.#column(x, width, height, middle - top * scale, middle - bottom * scale, colours.wave);
        this.#column(x, width, height, middle - (meanHigh[x] ?? 0) * scale, middle - (meanLow[x] ?? 0) * scale, colours.core);
      }
    }
    context.putImageData(this.#image, 0, top);
  }

  #column(x: number, width: number, height: number, from: number, to: number, colour: number): void {
    const first = Math.max(0, Math.round(from));
    const last = Math.min(height - 1, Math.max(first, Math.round(to)));
    for (let at = first * width + x; at <= last * width + x; at += width) this.#words[at] = colour;
  }
}
