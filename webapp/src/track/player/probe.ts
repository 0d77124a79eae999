/** Records which song time each drawn frame of the strip shows, for measurements in a real browser. */

export interface DrawnFrame {
  /** When it was drawn, by `performance.now()`. */
  readonly at: number;
  /** The song time that the frame shows. */
  readonly shownMs: number;
  /** The song time that is heard, by the clock of the audio output. */
  readonly heardMs: number;
}

declare global {
  interface Window {
    k1DrawnFrames?: DrawnFrame[];
  }
}

/** Record a frame if a measurement has set `window.k1DrawnFrames` to a list. */
export function recordFrame(shownMs: number, heardMs: number): void {
  window.k1DrawnFrames?.push({ at: performance.now(), shownMs, heardMs });
}
