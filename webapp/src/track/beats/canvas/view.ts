/** Transforms between time and pixels. Pure: a view says which part of a song a canvas shows. */

/** The visible part of a song. */
export interface View {
  readonly startMs: number;
  readonly endMs: number;
}

/** The shortest part that can be shown: a quarter of a second over the whole width. */
export const MIN_SPAN_MS = 250;
const MARGIN = 0.05;
/** Where the playhead stands while the view follows it, as a share of the width. */
const FOLLOW_AT = 0.35;

/** Return the view of a whole song. */
export function fitView(durationMs: number): View {
  return { startMs: 0, endMs: Math.max(durationMs, MIN_SPAN_MS) };
}

/** Return the x of a time in a canvas of a width. */
export function timeToX(view: View, width: number, ms: number): number {
  return ((ms - view.startMs) / spanOf(view)) * width;
}

/** Return the time at an x. */
export function xToTime(view: View, width: number, x: number): number {
  return view.startMs + (x / Math.max(width, 1)) * spanOf(view);
}

/** Return the length of a view. */
export function spanOf(view: View): number {
  return view.endMs - view.startMs;
}

/** Return the view zoomed by a factor; the time at `anchorMs` stays where it is. A factor above 1 zooms in. */
export function zoomAt(view: View, factor: number, anchorMs: number, durationMs: number): View {
  const span = Math.min(Math.max(spanOf(view) / factor, MIN_SPAN_MS), Math.max(durationMs, MIN_SPAN_MS));
  const share = (anchorMs - view.startMs) / spanOf(view);
  return inside({ startMs: anchorMs - share * span, endMs: anchorMs + (1 - share) * span }, durationMs);
}

/** Two fingers on a canvas: the middle between them, and how far apart they are, in pixels. */
export interface Pinch {
  readonly x: number;
  readonly distance: number;
}

/** Fingers that are nearer have no distance that a zoom could be measured by. */
const MIN_PINCH_PX = 16;

/** Return the view after two fingers moved: it zooms as they spread, and the time between them stays between them. */
export function pinchView(view: View, from: Pinch, to: Pinch, width: number, durationMs: number): View {
  const factor = Math.max(to.distance, MIN_PINCH_PX) / Math.max(from.distance, MIN_PINCH_PX);
  const zoomed = zoomAt(view, factor, xToTime(view, width, from.x), durationMs);
  return panBy(zoomed, ((from.x - to.x) / Math.max(width, 1)) * spanOf(zoomed), durationMs);
}

/** Return the view moved by a time. */
export function panBy(view: View, byMs: number, durationMs: number): View {
  return inside({ startMs: view.startMs + byMs, endMs: view.endMs + byMs }, durationMs);
}

/** Return a view of a part of the song with a margin on both sides. */
export function zoomToPart(fromMs: number, toMs: number, durationMs: number): View {
  const margin = (toMs - fromMs) * MARGIN;
  const span = Math.max(toMs - fromMs + 2 * margin, MIN_SPAN_MS);
  const middle = (fromMs + toMs) / 2;
  return inside({ startMs: middle - span / 2, endMs: middle + span / 2 }, durationMs);
}

/** Return the nearest view of the same length that shows a time; the same object if it does already. */
export function reveal(view: View, ms: number, durationMs: number): View {
  const margin = spanOf(view) * MARGIN;
  if (ms >= view.startMs + margin && ms <= view.endMs - margin) return view;
  const by = ms < view.startMs + margin ? ms - margin - view.startMs : ms + margin - view.endMs;
  return panBy(view, by, durationMs);
}

/** Return the view that follows a playhead: it stands still on the screen and the song moves under it. */
export function follow(view: View, ms: number, durationMs: number): View {
  return panBy(view, ms - FOLLOW_AT * spanOf(view) - view.startMs, durationMs);
}

/** Return the view turned like a page: the same while it shows the playhead, else the one that begins at it. */
export function turnPage(view: View, ms: number, durationMs: number): View {
  if (ms >= view.startMs && ms <= view.endMs) return view;
  return panBy(view, ms - MARGIN * spanOf(view) - view.startMs, durationMs);
}

/** Return the nearest view of the same length inside the song. */
export function inside(view: View, durationMs: number): View {
  const span = Math.min(spanOf(view), Math.max(durationMs, MIN_SPAN_MS));
  const startMs = Math.min(Math.max(view.startMs, 0), Math.max(durationMs, MIN_SPAN_MS) - span);
  return { startMs, endMs: startMs + span };
}

/** Return a round step between marks of a ruler so that they are at least so many pixels apart. */
export function rulerStep(view: View, width: number, minPx: number): number {
  const least = (spanOf(view) / Math.max(width, 1)) * minPx;
  return RULER_STEPS.find((step) => step >= least) ?? 600_000;
}

const RULER_STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000];
