/** The sample rate at which `guessTempo` is meant to be used: beats need no treble. */
export const TEMPO_RATE = 11_025;

const WINDOW = 512;
const HOP = 128;
const SLOWEST_BPM = 55;
const FASTEST_BPM = 210;
/** Most music lies around here; the width is in octaves. */
const USUAL_BPM = 118;
const USUAL_WIDTH = 0.9;
/** How many multiples of a beat period must repeat too for it to be believed. */
const MULTIPLES = 4;
const LEAST_SECONDS = 4;

/**
 * Guesses the tempo of mono samples from how their onsets repeat, in a fraction of a second.
 *
 * For a first impression only: half or double of the true tempo is possible, and the analysis replaces it.
 * Returns undefined where nothing repeats.
 */
export function guessTempo(samples: Float32Array, rate: number): number | undefined {
  if (samples.length < LEAST_SECONDS * rate) return undefined;
  const onsets = onsetStrengths(samples);
  const perSecond = rate / HOP;
  const longest = Math.floor((60 / SLOWEST_BPM) * perSecond * MULTIPLES) + 1;
  const repetition = autocorrelate(onsets, longest);
  if ((repetition[0] ?? 0) <= 0) return undefined;
  let best = { score: 0, bpm: 0 };
  for (let bpm = SLOWEST_BPM; bpm <= FASTEST_BPM; bpm += 0.25) {
    const score = scoreOf(repetition, (60 / bpm) * perSecond) * usual(bpm);
    if (score > best.score) best = { score, bpm };
  }
  return best.score > 0.02 * (repetition[0] ?? 0) ? Math.round(best.bpm * 10) / 10 : undefined;
}

/** Returns how much louder each moment is than the one before, in several bands, without the slow changes. */
function onsetStrengths(samples: Float32Array): Float32Array {
  const count = Math.max(0, Math.floor((samples.length - WINDOW) / HOP));
  const flux = new Float32Array(count);
  // Differences of neighbours stress the treble, running means the bass: two bands without a transform.
  let [lastLow, lastHigh] = [0, 0];
  for (let frame = 0; frame < count; frame++) {
    let [low, high, smooth] = [0, 0, 0];
    const start = frame * HOP;
    for (let index = start; index < start + WINDOW; index++) {
      const sample = samples[index] ?? 0;
      smooth += 0.06 * (sample - smooth);
      low += smooth * smooth;
      const step = sample - (samples[index + 1] ?? 0);
      high += step * step;
    }
    const [logLow, logHigh] = [Math.log1p(1000 * (low / WINDOW)), Math.log1p(1000 * (high / WINDOW))];
    if (frame > 0) flux[frame] = Math.max(0, logLow - lastLow) + Math.max(0, logHigh - lastHigh);
    [lastLow, lastHigh] = [logLow, logHigh];
  }
  return withoutMean(flux);
}

function withoutMean(values: Float32Array): Float32Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  return values.map((value) => value - mean);
}

function autocorrelate(values: Float32Array, longest: number): Float32Array {
  const sums = new Float32Array(Math.min(longest, Math.max(1, values.length >> 1)) + 1);
  for (let lag = 0; lag < sums.length; lag++) {
    let sum = 0;
    for (let index = lag; index < values.length; index++) sum += (values[index] ?? 0) * (values[index - lag] ?? 0);
    sums[lag] = sum / (values.length - lag);
  }
  return sums;
}

/** Returns the mean repetition at the multiples of a period, which is a fraction of frames. */
function scoreOf(repetition: Float32Array, period: number): number {
  let [sum, count] = [0, 0];
  for (let multiple = 1; multiple <= MULTIPLES; multiple++) {
    const lag = period * multiple;
    const index = Math.floor(lag);
    if (index + 1 >= repetition.length) break;
    const part = lag - index;
    sum += (repetition[index] ?? 0) * (1 - part) + (repetition[index + 1] ?? 0) * part;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}

function usual(bpm: number): number {
  const octaves = Math.log2(bpm / USUAL_BPM);
  return Math.exp(-0.5 * (octaves / USUAL_WIDTH) ** 2);
}
