/** Finds the onset of a sound near a time, to snap a beat to. Pure. */

const HOP_MS = 1.5;
const SPREAD_HOPS = 4;
const FLOOR = 1e-5;
/** The energy must rise at least by this factor. */
const LEAST_RISE = 1.6;

/** Return the time of the strongest onset within `reachMs` of a time; null where nothing rises clearly.
 *
 * The measure is the rise of the energy of the differences from sample to sample, which favours attacks over bass. An
 * onset farther away must be stronger.
 */
export function findOnset(
  channels: readonly Float32Array[],
  sampleRate: number,
  ms: number,
  reachMs = 60,
): number | null {
  const hop = Math.max(1, Math.round((sampleRate * HOP_MS) / 1000));
  const hops = Math.ceil((2 * reachMs) / HOP_MS) + 2 * SPREAD_HOPS;
  const first = Math.round((sampleRate * (ms - reachMs)) / 1000) - SPREAD_HOPS * hop;
  const energy = Float64Array.from({ length: hops + 1 }, (_, index) => energyOf(channels, first + index * hop, hop));
  let best: number | null = null;
  let bestScore = 0;
  for (let index = SPREAD_HOPS; index + SPREAD_HOPS <= hops; index += 1) {
    const before = meanOf(energy, index - SPREAD_HOPS, index);
    const after = meanOf(energy, index, index + SPREAD_HOPS);
    const rise = (after + FLOOR) / (before + FLOOR);
    if (rise < LEAST_RISE) continue;
    const at = (1000 * (first + index * hop)) / sampleRate;
    const distance = (at - ms) / reachMs;
    if (Math.abs(distance) > 1) continue;
    const score = Math.log(rise) * Math.sqrt(after) * (1 - 0.6 * distance * distance);
    if (score > bestScore) [best, bestScore] = [at, score];
  }
  return best === null ? null : Math.max(0, best);
}

function energyOf(channels: readonly Float32Array[], from: number, count: number): number {
  let energy = 0;
  for (const channel of channels) {
    for (let at = Math.max(1, from); at < from + count && at < channel.length; at += 1) {
      const difference = (channel[at] ?? 0) - (channel[at - 1] ?? 0);
      energy += difference * difference;
    }
  }
  return energy / count;
}

function meanOf(values: Float64Array, from: number, to: number): number {
  let sum = 0;
  for (let at = from; at < to; at += 1) sum += values[at] ?? 0;
  return sum / (to - from);
}
