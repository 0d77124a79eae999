/** Says where the lanes of the detail canvas are. Pure; CSS pixels. */

export interface Lanes {
  readonly sections: { readonly top: number; readonly height: number };
  readonly bars: { readonly top: number; readonly height: number };
  readonly wave: { readonly top: number; readonly height: number };
  readonly time: { readonly top: number; readonly height: number };
}

export type LaneName = keyof Lanes;

const SECTIONS = 20;
const BARS = 20;
const TIME = 20;

/** Return the lanes of a canvas of a height. */
export function lanesOf(height: number): Lanes {
  return {
    sections: { top: 0, height: SECTIONS },
    bars: { top: SECTIONS, height: BARS },
    wave: { top: SECTIONS + BARS, height: Math.max(0, height - SECTIONS - BARS - TIME) },
    time: { top: height - TIME, height: TIME },
  };
}

/** Return the lane at a y. */
export function laneAt(height: number, y: number): LaneName {
  const { bars, wave, time } = lanesOf(height);
  if (y < bars.top) return "sections";
  if (y < wave.top) return "bars";
  return y < time.top ? "wave" : "time";
}
