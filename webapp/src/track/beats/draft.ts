/** Keeps edits that are not saved over a reload of the page, in this tab. */
import { findFault, type Beat, type ComparedBeat } from "./model";

interface Draft {
  /** The beats that the edits start from, as text. */
  readonly from: string;
  readonly beats: readonly Beat[];
}

const keyOf = (trackId: string): string => `k1.beats.${trackId}`;

/** Keep the edits of a track, which start from its saved beats; null forgets them. */
export function keepDraft(trackId: string, saved: readonly ComparedBeat[], beats: readonly Beat[] | null): void {
  try {
    if (beats === null) sessionStorage.removeItem(keyOf(trackId));
    else sessionStorage.setItem(keyOf(trackId), JSON.stringify({ from: textOf(saved), beats } satisfies Draft));
  } catch {
    // Without room in the storage the edits still are in the page; only a reload would lose them.
  }
}

/** Return the edits that were kept; null if there are none, or they start from other beats. A version with another graph
 * has the same beats, so the edits go on there. */
export function readDraft(trackId: string, saved: readonly ComparedBeat[]): readonly Beat[] | null {
  const text = sessionStorage.getItem(keyOf(trackId));
  if (text === null) return null;
  try {
    const draft = JSON.parse(text) as Draft;
    return draft.from === textOf(saved) && findFault(draft.beats, Infinity) === null ? draft.beats : null;
  } catch {
    return null;
  }
}

function textOf(beats: readonly ComparedBeat[]): string {
  return beats.map(({ ms, downbeat }) => (downbeat ? `${ms}!` : String(ms))).join();
}
