/** Tells what is under the pointer. Pure. */
import { nearestIndex, type Beat } from "../model";
import { timeToX, type View } from "./view";

/** How near a pointer must be to a beat, in pixels; twice as far for a finger. */
export const HIT_PX = 6;

/** Return the index of the beat under an x; null if none is near enough. */
export function beatUnder(beats: readonly Beat[], view: View, width: number, x: number, ms: number, reachPx = HIT_PX): number | null {
  const index = nearestIndex(beats, ms);
  const beat = index === null ? undefined : beats[index];
  return beat !== undefined && Math.abs(timeToX(view, width, beat.ms) - x) <= reachPx ? index : null;
}

/** Return the ids of the beats between two times, in any order. */
export function idsBetween(beats: readonly Beat[], oneMs: number, otherMs: number): number[] {
  const from = Math.min(oneMs, otherMs);
  const to = Math.max(oneMs, otherMs);
  return beats.filter(({ ms }) => ms >= from && ms <= to).map(({ id }) => id);
}
