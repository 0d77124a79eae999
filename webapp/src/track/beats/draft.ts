/** Keeps edits that are not saved over a reload of the page, in this tab. */
import { findFault, type Beat } from "./model";

interface Draft {
  readonly etag: string;
  readonly beats: readonly Beat[];
}

const keyOf = (trackId: string): string => `k1.beats.${trackId}`;

/** Keep the edits of a track, which start from the beats with a tag; null forgets them. */
export function keepDraft(trackId: string, etag: string, beats: readonly Beat[] | null): void {
  try {
    if (beats === null) sessionStorage.removeItem(keyOf(trackId));
    else sessionStorage.setItem(keyOf(trackId), JSON.stringify({ etag, beats } satisfies Draft));
  } catch {
    // Without room in the storage the edits still are in the page; only a reload would lose them.
  }
}

/** Return the edits that were kept; null if there are none, or they start from other beats. */
export function readDraft(trackId: string, etag: string): readonly Beat[] | null {
  const text = sessionStorage.getItem(keyOf(trackId));
  if (text === null) return null;
  try {
    const draft = JSON.parse(text) as Draft;
    return draft.etag === etag && findFault(draft.beats, Infinity) === null ? draft.beats : null;
  } catch {
    return null;
  }
}
