/** Chooses which part of the curves to fetch for a view, so that moving a little fetches nothing. Pure. */
import { spanOf, type View } from "../beats/canvas/view";

/** The API gives at most so many points for each curve. */
export const MAX_POINTS = 1600;
const LEAST_MS = 5000;

/** Return the part to fetch: one or more times as long as the view, at places on a fixed raster.
 *
 * The raster of each zoom is twice as coarse as that of the one before. A part spans two fields of it, so every view
 * lies inside a part whole.
 */
export function partOf(view: View, durationMs: number): View {
  const span = spanOf(view);
  if (durationMs <= LEAST_MS || span * 2 >= durationMs) return { startMs: 0, endMs: durationMs };
  const field = LEAST_MS * 2 ** Math.max(0, Math.ceil(Math.log2(span / LEAST_MS)));
  const startMs = Math.max(0, Math.floor(view.startMs / field) * field);
  return { startMs, endMs: Math.min(durationMs, startMs + 2 * field) };
}
