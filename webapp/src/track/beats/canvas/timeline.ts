/** Holds what all pictures of a song share: the visible part, the gain, and whether the view follows the playhead. */
import { createStore, type Store } from "./store";
import { fitView, follow, inside, reveal, turnPage, type View } from "./view";

export interface Timeline {
  readonly durationMs: number;
  readonly view: Store<View>;
  /** Vertical gain of the waveform. */
  readonly gain: Store<number>;
  readonly following: Store<boolean>;
  /** The time under the pointer; null where there is none. */
  readonly hover: Store<number | null>;
}

export const MIN_GAIN = 0.5;
export const MAX_GAIN = 8;

/** What is shown at first: enough bars to see their beats. */
const FIRST_SPAN_MS = 20_000;

/** Return a timeline that shows a place in a song, or its beginning. */
export function createTimeline(
  durationMs: number,
  place: { readonly view: View; readonly gain: number; readonly following: boolean } | null = null,
): Timeline {
  return {
    durationMs,
    view: createStore(place === null ? fitView(Math.min(durationMs, FIRST_SPAN_MS)) : inside(place.view, durationMs)),
    gain: createStore(place?.gain ?? 1),
    following: createStore(place?.following ?? true),
    hover: createStore<number | null>(null),
  };
}

/** Change the view by a function of `view.ts`. */
export function changeView({ view, durationMs }: Timeline, change: (view: View, durationMs: number) => View): void {
  view.set(change(view.get(), durationMs));
}

/** Multiply the vertical gain. */
export function changeGain({ gain }: Timeline, factor: number): void {
  gain.set(Math.min(MAX_GAIN, Math.max(MIN_GAIN, gain.get() * factor)));
}

/** Show the playhead: follow it while it plays, or bring it into view. Where each move is costly, pages are turned. */
export function showPlayhead({ view, durationMs, following }: Timeline, ms: number, playing: boolean, byPages: boolean): void {
  if (playing && following.get()) view.set((byPages ? turnPage : follow)(view.get(), ms, durationMs));
  else if (!playing) view.set(reveal(view.get(), ms, durationMs));
}
