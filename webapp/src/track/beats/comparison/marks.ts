/** Says which beats of two lists differ, as times that a canvas can mark. Pure. */
import { diffBeats, type ComparedBeat } from "../model";

/** What differs in the beats that are shown from those that they are compared with. */
export interface ComparisonMarks {
  readonly moved: readonly { readonly fromMs: number; readonly toMs: number }[];
  /** Beats that only the shown ones have. */
  readonly added: readonly number[];
  /** Beats that only the others have. */
  readonly removed: readonly number[];
  /** Beats of both that begin a bar in one of them only. */
  readonly bars: readonly number[];
  readonly same: number;
}

/** Return what differs in the shown beats from the others. */
export function marksOf(others: readonly ComparedBeat[], shown: readonly ComparedBeat[]): ComparisonMarks {
  const { same, moved, added, removed, bars } = diffBeats(others, shown);
  const timesOf = (beats: readonly ComparedBeat[], indices: readonly number[]): number[] => indices.flatMap((index) => beats[index]?.ms ?? []);
  return {
    moved: moved.flatMap(({ before, after }) => {
      const [old, now] = [others[before], shown[after]];
      return old && now ? { fromMs: old.ms, toMs: now.ms } : [];
    }),
    added: timesOf(shown, added),
    removed: timesOf(others, removed),
    bars: timesOf(shown, bars),
    same,
  };
}

/** Return the beats of times, of which some begin bars. */
export function beatsAt(beatsMs: readonly number[], downbeatsMs: readonly number[]): ComparedBeat[] {
  const starts = new Set(downbeatsMs);
  return beatsMs.map((ms) => ({ ms, downbeat: starts.has(ms) }));
}
