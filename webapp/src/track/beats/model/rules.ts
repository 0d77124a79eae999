/** Holds the rules that saved beats follow; they are those of the API's beat override. */
import type { Beat, Problem } from "./types";

export const MIN_BEATS = 2;
export const MAX_BEATS = 50_000;
/** 1,200 beats a minute. */
export const MIN_SPACING_MS = 50;
export const MIN_BPM = 10;
export const MAX_BPM = 1000;
export const MAX_BEATS_PER_BAR = 32;
/** Beats up to this far apart count as the same beat that has moved. */
export const SAME_BEAT_MS = 70;

/** Return a time as the API stores it. */
export function roundMs(ms: number): number {
  return Math.round(ms * 10) / 10 + 0;
}

/** Return the first rule that the beats break; null if they can be saved. */
export function findFault(beats: readonly Beat[], durationMs: number): Problem | null {
  if (beats.length < MIN_BEATS) return "too_few";
  if (beats.length > MAX_BEATS) return "too_many";
  let before: number | null = null;
  for (const { ms } of beats) {
    if (!Number.isFinite(ms) || ms < 0 || ms > durationMs) return "outside";
    if (before !== null && ms <= before) return "not_rising";
    if (before !== null && Math.round((ms - before) * 1000) / 1000 < MIN_SPACING_MS) return "too_close";
    before = ms;
  }
  return null;
}
