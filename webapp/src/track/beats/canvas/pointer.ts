/** Turns pointers into edits: what a press begins, and what its movement and its end mean. Pure. */
import type { Beat, Operation } from "../model";
import { beatUnder, HIT_PX, idsBetween } from "./hit";
import { laneAt } from "./layout";
import { xToTime, type Pinch, type View } from "./view";

/** A pointer over the detail canvas, in CSS pixels of the canvas. */
export interface PointerPlace {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly shift: boolean;
  /** Ctrl, or Command on a Mac. */
  readonly command: boolean;
  readonly alt: boolean;
  readonly coarse: boolean;
}

export type Gesture =
  /** Moves the playhead as the pointer moves. */
  | { readonly kind: "scrub" }
  /** Moves the view. */
  | { readonly kind: "pan"; readonly startX: number; readonly view: View }
  /** Zooms and moves the view with two fingers. */
  | { readonly kind: "pinch"; readonly from: Pinch; readonly view: View }
  /** Moves beats, or one anchor with the beats around it. */
  | { readonly kind: "drag"; readonly id: number; readonly ids: readonly number[]; readonly fromMs: number; readonly adjust: boolean }
  /** Selects the beats that it is drawn over; without movement it is a click on nothing. */
  | { readonly kind: "band"; readonly fromMs: number; readonly add: boolean };

export type Selecting = { readonly ids: readonly number[]; readonly how: "only" | "toggle" | "extend" };

export interface Press {
  readonly gesture: Gesture;
  /** What to select at once. */
  readonly select?: Selecting;
}

/** How far a pointer may move and still be a click. */
export const CLICK_PX = 3;

/** Return where two fingers are. */
export function pinchOf(one: PointerPlace, other: PointerPlace): Pinch {
  return { x: (one.x + other.x) / 2, distance: Math.hypot(one.x - other.x, one.y - other.y) };
}

/** Return what a press begins. */
export function pressAt(
  place: PointerPlace,
  view: View,
  beats: readonly Beat[],
  selection: ReadonlySet<number>,
  mayEdit: boolean,
): Press {
  const lane = laneAt(place.height, place.y);
  if (lane === "time") return { gesture: { kind: "pan", startX: place.x, view } };
  if (lane === "bars") return { gesture: { kind: "scrub" } };
  const ms = xToTime(view, place.width, place.x);
  const hit = lane === "wave" ? beatUnder(beats, view, place.width, place.x, ms, place.coarse ? 2 * HIT_PX : HIT_PX) : null;
  const beat = hit === null ? undefined : beats[hit];
  if (beat === undefined) return { gesture: { kind: "band", fromMs: ms, add: place.shift || place.command } };
  const { id } = beat;
  if (place.shift) return { gesture: { kind: "band", fromMs: ms, add: true }, select: { ids: [id], how: "extend" } };
  const adjust = place.command || beat.anchor;
  const isChosen = selection.has(id);
  const select: Selecting = { ids: [id], how: "only" };
  if (!mayEdit) return { gesture: { kind: "band", fromMs: ms, add: true }, select };
  const ids = isChosen && !adjust ? [...selection] : [id];
  const gesture: Gesture = { kind: "drag", id, ids, fromMs: beat.ms, adjust };
  return isChosen ? { gesture } : { gesture, select };
}

/** Return the operation of a drag to a time; null where the beat is back where it was. */
export function dragTo(gesture: Extract<Gesture, { kind: "drag" }>, ms: number): Operation | null {
  if (gesture.adjust) return { kind: "adjust", id: gesture.id, ms };
  const byMs = ms - gesture.fromMs;
  return byMs === 0 ? null : { kind: "move", ids: gesture.ids, byMs };
}

/** Return what a band over the song selects. */
export function bandTo(
  gesture: Extract<Gesture, { kind: "band" }>,
  ms: number,
  beats: readonly Beat[],
  selection: ReadonlySet<number>,
): number[] {
  const found = idsBetween(beats, gesture.fromMs, ms);
  return gesture.add ? [...new Set([...selection, ...found])] : found;
}
