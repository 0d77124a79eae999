/** Defines the value types of the beat editor: beats, grids, operations and their results. */

/** One beat. The position in the bar and the bar's number follow from the downbeats before it. */
export interface Beat {
  /** Identifies the beat within its grid, also after it has moved. */
  readonly id: number;
  /** Milliseconds from the first decoded sample, rounded to 0.1 ms. */
  readonly ms: number;
  /** Begins a bar. */
  readonly downbeat: boolean;
  /** Never moves, is never removed and keeps its place in the bar. */
  readonly locked: boolean;
  /** Stands where a person has put it; the beats between two anchors are evenly spaced. */
  readonly anchor: boolean;
  /** Probability that the beat is right: 1 for a beat that a person has set. */
  readonly confidence: number;
}

/** The beats of a song, rising, and the length of the song. */
export interface Grid {
  readonly beats: readonly Beat[];
  readonly durationMs: number;
}

/** The first and the last index that an operation may change, both included. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

export type Operation =
  | { readonly kind: "insert"; readonly ms: number }
  | { readonly kind: "delete"; readonly ids: readonly number[] }
  /** Moves beats by the same time, as far as their neighbours allow. */
  | { readonly kind: "move"; readonly ids: readonly number[]; readonly byMs: number }
  | { readonly kind: "half"; readonly range: Range; readonly phase: 0 | 1 }
  | { readonly kind: "double"; readonly range: Range }
  /** Moves beats by time; those that leave the song are removed. */
  | { readonly kind: "shift"; readonly range: Range; readonly byMs: number }
  /** Moves each beat by a part of the interval at its place. */
  | { readonly kind: "shift_beats"; readonly range: Range; readonly byBeats: number }
  /** Begins the bars by whole beats later or earlier; no beat moves. */
  | { readonly kind: "shift_bars"; readonly range: Range; readonly byBeats: number }
  /** Begins a bar at a beat and counts the bars after it anew. */
  | { readonly kind: "set_downbeat"; readonly index: number; readonly last: number }
  | { readonly kind: "toggle_downbeat"; readonly ids: readonly number[] }
  | { readonly kind: "set_meter"; readonly range: Range; readonly beatsPerBar: number }
  /** Lays the beats anew at one tempo from a beat on. */
  | { readonly kind: "set_tempo"; readonly range: Range; readonly bpm: number }
  /** Puts evenly spaced beats between two beats; without `count` as many as fit the tempo around them. */
  | { readonly kind: "fill"; readonly range: Range; readonly count?: number }
  /** Makes a beat an anchor at a time, and lays the beats on both sides of it anew. */
  | { readonly kind: "adjust"; readonly id: number; readonly ms: number }
  | { readonly kind: "set_anchor"; readonly ids: readonly number[]; readonly anchor: boolean }
  | { readonly kind: "set_locked"; readonly ids: readonly number[]; readonly locked: boolean }
  /** Takes other beats as a whole, such as an alternative of the analysis. */
  | { readonly kind: "replace"; readonly beatsMs: readonly number[]; readonly downbeatsMs: readonly number[] };

export type OperationKind = Operation["kind"];

/** Says why an operation was refused. */
export type Problem =
  | "locked"
  | "too_close"
  | "outside"
  | "too_few"
  | "too_many"
  | "not_rising"
  | "no_such_beat"
  | "bad_tempo"
  | "bad_meter"
  | "nothing_to_do";

/** New beats, or the reason why there are none. `touched` names the beats to select afterwards. */
export type Result =
  | { readonly ok: true; readonly beats: readonly Beat[]; readonly touched?: readonly number[] }
  | { readonly ok: false; readonly problem: Problem };

/** Return a refusal. */
export function refuse(problem: Problem): Result {
  return { ok: false, problem };
}

/** Return a successful result. */
export function accept(beats: readonly Beat[], touched?: readonly number[]): Result {
  return touched === undefined ? { ok: true, beats } : { ok: true, beats, touched };
}
