/** Compares two lists of beats by the rule of the API: within 70 ms a beat has moved, farther away it is another. */
import { SAME_BEAT_MS } from "./rules";

export interface ComparedBeat {
  readonly ms: number;
  readonly downbeat: boolean;
}

export interface BeatDiff {
  readonly same: number;
  readonly moved: readonly { readonly before: number; readonly after: number; readonly byMs: number }[];
  /** Indices in the beats after. */
  readonly added: readonly number[];
  /** Indices in the beats before. */
  readonly removed: readonly number[];
  /** Indices in the beats after, of beats that are in both and begin a bar in one of them only. */
  readonly bars: readonly number[];
}

/** Return which beats moved, are new or are gone. Each beat is paired with the nearest one that is free. */
export function diffBeats(before: readonly ComparedBeat[], after: readonly ComparedBeat[]): BeatDiff {
  const moved: { before: number; after: number; byMs: number }[] = [];
  const added: number[] = [];
  const removed: number[] = [];
  const bars: number[] = [];
  let same = 0;
  let left = 0;
  let right = 0;
  while (left < before.length || right < after.length) {
    const old = before[left];
    const now = after[right];
    if (old === undefined) added.push(right++);
    else if (now === undefined) removed.push(left++);
    else if (now.ms - old.ms > SAME_BEAT_MS) removed.push(left++);
    else if (old.ms - now.ms > SAME_BEAT_MS) added.push(right++);
    else if (isNearer(before[left + 1], now, old)) removed.push(left++);
    else if (isNearer(after[right + 1], old, now)) added.push(right++);
    else {
      if (old.ms === now.ms) same += 1;
      else moved.push({ before: left, after: right, byMs: now.ms - old.ms });
      if (old.downbeat !== now.downbeat) bars.push(right);
      left += 1;
      right += 1;
    }
  }
  return { same, moved, added, removed, bars };
}

/** Tell whether two lists hold the same beats and bars. */
export function sameBeats(one: readonly ComparedBeat[], other: readonly ComparedBeat[]): boolean {
  return (
    one === other ||
    (one.length === other.length &&
      one.every((beat, index) => beat.ms === other[index]?.ms && beat.downbeat === other[index].downbeat))
  );
}

function isNearer(next: ComparedBeat | undefined, beat: ComparedBeat, paired: ComparedBeat): boolean {
  return next !== undefined && Math.abs(next.ms - beat.ms) < Math.abs(paired.ms - beat.ms);
}
