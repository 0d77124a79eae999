/** Keeps the place in a song over a reload of the page, in this tab. */
import type { View } from "./beats/canvas/view";

export interface Place {
  readonly view: View;
  readonly positionMs: number;
  readonly gain: number;
  readonly following: boolean;
}

const keyOf = (trackId: string): string => `k1.place.${trackId}`;

/** Keep the place in a song. */
export function keepPlace(trackId: string, place: Place): void {
  try {
    sessionStorage.setItem(keyOf(trackId), JSON.stringify(place));
  } catch {
    // Without room in the storage the page begins at the start of the song.
  }
}

/** Return the place that was kept; null if there is none. */
export function readPlace(trackId: string): Place | null {
  try {
    const place: unknown = JSON.parse(sessionStorage.getItem(keyOf(trackId)) ?? "null");
    return isPlace(place) ? place : null;
  } catch {
    return null;
  }
}

function isPlace(value: unknown): value is Place {
  if (typeof value !== "object" || value === null) return false;
  const { view, positionMs, gain, following } = value as Partial<Record<keyof Place, unknown>>;
  const { startMs, endMs } = (view ?? {}) as Partial<Record<keyof View, unknown>>;
  const isSpan = Number.isFinite(startMs) && Number.isFinite(endMs) && Number(endMs) > Number(startMs);
  return isSpan && Number.isFinite(positionMs) && Number.isFinite(gain) && typeof following === "boolean";
}
