/** Estimates a tempo from taps. Pure. */

const RESTART_MS = 2500;
const OFF_BEAT = 0.4;
const MIN_TAPS = 3;

/** The tempo of the taps, and the line through them: tap `n` is at `phaseMs + n * 60000 / bpm`. */
export interface TapTempo {
  readonly bpm: number;
  readonly phaseMs: number;
  readonly count: number;
}

/** Return the taps with another one; a long pause or another tempo begins anew. */
export function addTap(taps: readonly number[], ms: number): readonly number[] {
  const last = taps[taps.length - 1];
  if (last === undefined || ms <= last || ms - last > RESTART_MS) return [ms];
  const first = taps[0] ?? last;
  const period = (last - first) / (taps.length - 1);
  if (taps.length >= MIN_TAPS && Math.abs(ms - last - period) > OFF_BEAT * period) return [last, ms];
  return [...taps, ms];
}

/** Return the tempo of taps by least squares; null with fewer than three. */
export function tapTempo(taps: readonly number[]): TapTempo | null {
  const count = taps.length;
  if (count < MIN_TAPS) return null;
  const meanIndex = (count - 1) / 2;
  const meanMs = taps.reduce((sum, tap) => sum + tap, 0) / count;
  let products = 0;
  let squares = 0;
  taps.forEach((tap, index) => {
    products += (index - meanIndex) * (tap - meanMs);
    squares += (index - meanIndex) ** 2;
  });
  const period = products / squares;
  return { bpm: 60_000 / period, phaseMs: meanMs - meanIndex * period, count };
}
