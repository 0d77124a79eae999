/** Reads peaks of a waveform and answers which range of samples a column of pixels shows. Pure. */

/** Minima and maxima, -128 to 127, of evenly long parts of a song. */
export interface PeakLevel {
  readonly min: Int8Array;
  readonly max: Int8Array;
  readonly msPerPeak: number;
}

/** Levels from the finest to the coarsest; each has half as many peaks as the one before. */
export interface Peaks {
  readonly levels: readonly PeakLevel[];
  readonly durationMs: number;
}

const HEADER_BYTES = 24;
const SMALLEST_LEVEL = 256;

/** Decode an `audiowaveform` file of version 2 with 8 bits; raise RangeError for anything else. */
export function decodePeaks(file: ArrayBuffer): Peaks {
  if (file.byteLength < HEADER_BYTES) throw new RangeError("The waveform is shorter than its header.");
  const head = new DataView(file);
  const version = head.getInt32(0, true);
  const isEightBit = (head.getUint32(4, true) & 1) === 1;
  const sampleRate = head.getInt32(8, true);
  const samplesPerPeak = head.getInt32(12, true);
  const length = head.getUint32(16, true);
  const channels = head.getInt32(20, true);
  if (version !== 2 || !isEightBit) throw new RangeError("The waveform is not of version 2 with 8 bits.");
  if (file.byteLength < HEADER_BYTES + 2 * channels * length) throw new RangeError("The waveform is cut off.");
  const data = new Int8Array(file, HEADER_BYTES);
  const min = new Int8Array(length).fill(127);
  const max = new Int8Array(length).fill(-128);
  for (let peak = 0; peak < length; peak += 1) {
    for (let channel = 0; channel < channels; channel += 1) {
      const at = 2 * (peak * channels + channel);
      min[peak] = Math.min(min[peak] ?? 0, data[at] ?? 0);
      max[peak] = Math.max(max[peak] ?? 0, data[at + 1] ?? 0);
    }
  }
  return buildPeaks({ min, max, msPerPeak: (1000 * samplesPerPeak) / sampleRate });
}

/** Return all levels above the finest one. */
export function buildPeaks(finest: PeakLevel): Peaks {
  const levels = [finest];
  let level = finest;
  while (level.min.length > SMALLEST_LEVEL) {
    level = halveLevel(level);
    levels.push(level);
  }
  return { levels, durationMs: finest.min.length * finest.msPerPeak };
}

function halveLevel({ min, max, msPerPeak }: PeakLevel): PeakLevel {
  const length = Math.ceil(min.length / 2);
  const lower = new Int8Array(length);
  const upper = new Int8Array(length);
  for (let peak = 0; peak < length; peak += 1) {
    const left = 2 * peak;
    const right = Math.min(left + 1, min.length - 1);
    lower[peak] = Math.min(min[left] ?? 0, min[right] ?? 0);
    upper[peak] = Math.max(max[left] ?? 0, max[right] ?? 0);
  }
  return { min: lower, max: upper, msPerPeak: 2 * msPerPeak };
}

/** Return the coarsest level that has at least one peak for each column; the finest one where none has. */
export function levelFor(peaks: Peaks, msPerColumn: number): PeakLevel {
  let chosen = peaks.levels[0];
  for (const level of peaks.levels) if (level.msPerPeak <= msPerColumn) chosen = level;
  if (chosen === undefined) throw new RangeError("The waveform is empty.");
  return chosen;
}

/** What the columns of a picture show, in -1 to 1: the range of the samples, and the mean of the ranges within it. */
export interface Columns {
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly meanLow: Float32Array;
  readonly meanHigh: Float32Array;
}

/** Return columns without sound. */
export function createColumns(count: number): Columns {
  const empty = (): Float32Array => new Float32Array(count);
  return { low: empty(), high: empty(), meanLow: empty(), meanHigh: empty() };
}

/** So many peaks of a column make its mean. */
const PEAKS_PER_COLUMN = 6;

/** Fill the columns from the peaks.
 *
 * Between two peaks of the finest level the ranges are interpolated, so that a close zoom shows no steps.
 */
export function fillColumns(peaks: Peaks, startMs: number, msPerColumn: number, columns: Columns): void {
  const { min, max, msPerPeak } = levelFor(peaks, msPerColumn / PEAKS_PER_COLUMN);
  const { low, high, meanLow, meanHigh } = columns;
  const isClose = msPerPeak > msPerColumn;
  for (let column = 0; column < low.length; column += 1) {
    const from = (startMs + column * msPerColumn) / msPerPeak;
    let lower = 0;
    let upper = 0;
    let lowerSum = 0;
    let upperSum = 0;
    let count = 1;
    if (isClose) {
      const left = Math.floor(from - 0.5);
      const share = from - 0.5 - left;
      lower = (min[left] ?? 0) * (1 - share) + (min[left + 1] ?? 0) * share;
      upper = (max[left] ?? 0) * (1 - share) + (max[left + 1] ?? 0) * share;
      lowerSum = lower / 2;
      upperSum = upper / 2;
    } else {
      const first = Math.floor(from);
      const last = Math.max(first, Math.ceil(from + msPerColumn / msPerPeak) - 1);
      count = last - first + 1;
      for (let at = first; at <= last; at += 1) {
        const below = min[at] ?? 0;
        const above = max[at] ?? 0;
        lower = at === first ? below : Math.min(lower, below);
        upper = at === first ? above : Math.max(upper, above);
        lowerSum += below;
        upperSum += above;
      }
    }
    low[column] = lower / 128;
    high[column] = upper / 128;
    meanLow[column] = (CORE * lowerSum) / count / 128;
    meanHigh[column] = (CORE * upperSum) / count / 128;
  }
}

/** How much of the mean of the peaks the core shows: about the effective value of music. */
const CORE = 0.6;

/** Decoded audio, for the closest zoom. */
export interface Samples {
  readonly channels: readonly Float32Array[];
  readonly sampleRate: number;
}

/** Write the range of each column from decoded samples; for columns that are shorter than a peak. */
export function fillFromSamples(
  { channels, sampleRate }: Samples,
  startMs: number,
  msPerColumn: number,
  { low, high, meanLow, meanHigh }: Columns,
): void {
  const perColumn = (msPerColumn * sampleRate) / 1000;
  const start = (startMs * sampleRate) / 1000;
  for (let column = 0; column < low.length; column += 1) {
    const first = Math.floor(start + column * perColumn);
    // One sample more, so that the columns of a steep wave touch each other.
    const last = Math.floor(start + (column + 1) * perColumn);
    let lower = Infinity;
    let upper = -Infinity;
    for (const channel of channels) {
      for (let at = Math.max(0, first); at <= last && at < channel.length; at += 1) {
        const sample = channel[at] ?? 0;
        if (sample < lower) lower = sample;
        if (sample > upper) upper = sample;
      }
    }
    low[column] = upper === -Infinity ? 0 : Math.max(-1, lower);
    high[column] = upper === -Infinity ? 0 : Math.min(1, upper);
    meanLow[column] = (low[column] ?? 0) / 2;
    meanHigh[column] = (high[column] ?? 0) / 2;
  }
}
