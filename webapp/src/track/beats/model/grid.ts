/** Reads a beat grid: places, neighbours, tempo, bars. Pure. */
import { roundMs } from "./rules";
import type { Beat, Range } from "./types";

const USUAL_BEATS_PER_BAR = 4;
const TEMPO_BEATS = 8;
const MINUTE_MS = 60_000;

/** Return the beat at an index; raise RangeError if there is none. */
export function beatAt(beats: readonly Beat[], index: number): Beat {
  const beat = beats[index];
  if (beat === undefined) throw new RangeError(`There is no beat ${index}.`);
  return beat;
}

/** Return the index of the first beat at or after a time; the number of beats if there is none. */
export function indexAtOrAfter(beats: readonly Beat[], ms: number): number {
  let low = 0;
  let high = beats.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (beatAt(beats, middle).ms < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return the index of the beat nearest to a time; null without beats. */
export function nearestIndex(beats: readonly Beat[], ms: number): number | null {
  if (beats.length === 0) return null;
  const after = indexAtOrAfter(beats, ms);
  if (after === 0) return 0;
  if (after === beats.length) return after - 1;
  return ms - beatAt(beats, after - 1).ms <= beatAt(beats, after).ms - ms ? after - 1 : after;
}

/** Return the index of a beat by its id; -1 if there is none. */
export function indexOf(beats: readonly Beat[], id: number): number {
  return beats.findIndex((beat) => beat.id === id);
}

/** Return an id that no beat has. */
export function freshId(beats: readonly Beat[]): number {
  let highest = -1;
  for (const { id } of beats) if (id > highest) highest = id;
  return highest + 1;
}

/** Return a beat that a person sets. */
export function newBeat(id: number, ms: number, downbeat = false): Beat {
  return { id, ms: roundMs(ms), downbeat, locked: false, anchor: false, confidence: 1 };
}

/** Return the whole range of a grid. */
export function wholeRange(beats: readonly Beat[]): Range {
  return { first: 0, last: beats.length - 1 };
}

/** Tell whether a range is one of a grid. */
export function isRange(beats: readonly Beat[], { first, last }: Range): boolean {
  return first >= 0 && first <= last && last < beats.length;
}

/** Tell whether an index is in a range. */
export function inRange({ first, last }: Range, index: number): boolean {
  return index >= first && index <= last;
}

/** Return the tempo of a range: the median over eight beats at a time; null without an interval. */
export function tempoOf(beats: readonly Beat[], { first, last }: Range): number | null {
  const count = Math.min(TEMPO_BEATS, last - first);
  if (count < 1) return null;
  const spans: number[] = [];
  for (let index = first; index + count <= last; index += 1) {
    spans.push(beatAt(beats, index + count).ms - beatAt(beats, index).ms);
  }
  return (MINUTE_MS * count) / median(spans);
}

/** Return the tempo at an index, from at most four beats on either side of it. */
export function tempoAt(beats: readonly Beat[], index: number): number | null {
  const half = TEMPO_BEATS / 2;
  return tempoOf(beats, { first: Math.max(0, index - half), last: Math.min(beats.length - 1, index + half) });
}

/** Return the middle value; the mean of the middle two for an even count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Return the number of beats of the bar in which a beat stands; in the last bar that of the bar before. */
export function barLengthAt(beats: readonly Beat[], index: number): number {
  const starts = downbeatIndices(beats);
  if (starts.length < 2) return USUAL_BEATS_PER_BAR;
  let bar = starts.findIndex((start) => start > index);
  if (bar === -1) bar = starts.length - 1;
  bar = Math.max(bar, 1);
  return (starts[bar] ?? 0) - (starts[bar - 1] ?? 0);
}

/** Return the usual number of beats of a bar: the most frequent one. */
export function usualBarLength(beats: readonly Beat[]): number {
  const counts = new Map<number, number>();
  const starts = downbeatIndices(beats);
  starts.forEach((start, place) => {
    const next = starts[place + 1];
    if (next !== undefined) counts.set(next - start, (counts.get(next - start) ?? 0) + 1);
  });
  let usual = USUAL_BEATS_PER_BAR;
  let most = 0;
  for (const [length, count] of counts) {
    if (count > most) [usual, most] = [length, count];
  }
  return usual;
}

/** Return the indices of the beats that begin a bar. */
export function downbeatIndices(beats: readonly Beat[]): number[] {
  const found: number[] = [];
  beats.forEach((beat, index) => {
    if (beat.downbeat) found.push(index);
  });
  return found;
}

/** The place of a beat: bars count from 1 at the first downbeat; beats before it are in bar 0. */
export interface Place {
  readonly bar: number;
  /** 1 for the downbeat; in bar 0 counted so that the beat before bar 1 is the last of its bar. */
  readonly beat: number;
}

/** Return bar and position of every beat. */
export function placesOf(beats: readonly Beat[]): Place[] {
  const first = beats.findIndex((beat) => beat.downbeat);
  const upbeat = first === -1 ? beats.length : first;
  const length = Math.max(usualBarLength(beats), upbeat);
  let bar = 0;
  let beat = length - upbeat;
  return beats.map(({ downbeat }) => {
    if (downbeat) {
      bar += 1;
      beat = 0;
    }
    beat += 1;
    return { bar, beat };
  });
}

/** Return the time at a fractional index; beyond the ends at the tempo of the outer interval. */
export function timeAtIndex(beats: readonly Beat[], index: number): number {
  const left = Math.min(Math.max(Math.floor(index), 0), beats.length - 2);
  const before = beatAt(beats, left).ms;
  return before + (index - left) * (beatAt(beats, left + 1).ms - before);
}
