/** Lays beats at a tempo: typed tempo, anchors, filling. Pure. Locked beats stay and the others fit between them. */
import { beatAt, downbeatIndices, freshId, isRange, newBeat, tempoOf, usualBarLength } from "./grid";
import { roundInside } from "./edits";
import { MAX_BPM, MIN_BPM, MIN_SPACING_MS } from "./rules";
import { accept, refuse, type Beat, type Grid, type Range, type Result } from "./types";

const MINUTE_MS = 60_000;
const TEMPO_BEATS = 8;

/** Lay the beats after the first one of a range at a tempo; nothing before it moves.
 *
 * A range up to the last beat stays open: it ends about where the beats ended before. Otherwise its last beat stays,
 * as locked beats do, and the tempo between two that stay is the nearest one that fits.
 */
export function setTempo(grid: Grid, range: Range, bpm: number): Result {
  const { beats } = grid;
  if (!isRange(beats, range)) return refuse("no_such_beat");
  if (!(bpm >= MIN_BPM && bpm <= MAX_BPM)) return refuse("bad_tempo");
  const period = MINUTE_MS / bpm;
  const open = range.last === beats.length - 1;
  const fixed = fixedIndices(beats, range, (beat) => beat.locked, !open);
  const filled = fillSegments(beats, fixed, (span) => Math.max(1, Math.round(span / period)));
  const lastFixed = fixed[fixed.length - 1] ?? range.first;
  if (!open) return accept([...beats.slice(0, range.first), ...filled, ...beats.slice(lastFixed + 1)]);
  return accept([...beats.slice(0, range.first), ...layTail(grid, filled, lastFixed, period)]);
}

/** Put evenly spaced beats between the first and the last beat of a range. */
export function fillBetween({ beats }: Grid, range: Range, count?: number): Result {
  if (!isRange(beats, range) || range.first === range.last) return refuse("no_such_beat");
  if (count !== undefined && !(Number.isInteger(count) && count >= 0)) return refuse("nothing_to_do");
  const span = beatAt(beats, range.last).ms - beatAt(beats, range.first).ms;
  const period = count === undefined ? MINUTE_MS / tempoAround(beats, range) : span / (count + 1);
  const fixed = fixedIndices(beats, range, (beat) => beat.locked, true);
  const filled = fillSegments(beats, fixed, (part) => Math.max(1, Math.round(part / period)));
  return accept(
    [...beats.slice(0, range.first), ...filled, ...beats.slice(range.last + 1)],
    filled.map(({ id }) => id),
  );
}

/** Make a beat an anchor at a time and lay the beats on both sides of it anew, up to the next anchor or locked beat.
 *
 * Without an anchor before it nothing before it moves. Without one after it the tempo from the anchor before goes on
 * to the end; if there is none either, the beats after it move with it.
 */
export function adjustAnchor(grid: Grid, id: number, ms: number): Result {
  const { beats, durationMs } = grid;
  const index = beats.findIndex((beat) => beat.id === id);
  if (index === -1) return refuse("no_such_beat");
  const old = beatAt(beats, index);
  if (old.locked) return refuse("locked");
  const stays = (beat: Beat): boolean => beat.anchor || beat.locked;
  const before = beats.slice(0, index).findLastIndex(stays);
  const next = beats.findIndex((beat, place) => place > index && stays(beat));
  const time = roundInside(clampAnchor(grid, index, before, next, ms), durationMs);
  const anchor: Beat = { ...old, ms: time, anchor: true, confidence: 1 };
  const placed = beats.with(index, anchor);

  const from = before === -1 ? index : before;
  const left = before === -1 ? [anchor] : fillSegments(placed, [before, index], () => index - before);
  const head = [...beats.slice(0, from), ...left];
  if (next !== -1) {
    const right = fillSegments(placed, [index, next], () => next - index);
    return accept([...head, ...right.slice(1), ...beats.slice(next + 1)], [id]);
  }
  if (before === -1) {
    const by = time - old.ms;
    const moved = beats.slice(index + 1).map((beat) => ({ ...beat, ms: roundInside(beat.ms + by, Infinity) }));
    return accept([...head, ...moved.filter((beat) => beat.ms <= durationMs)], [id]);
  }
  const period = (time - beatAt(beats, before).ms) / (index - before);
  return accept([...beats.slice(0, from), ...layTail({ beats: placed, durationMs }, left, index, period)], [id]);
}

/** Return the tempo outside of a range, next to it; that of the range itself where there is nothing else. */
function tempoAround(beats: readonly Beat[], { first, last }: Range): number {
  const before = tempoOf(beats, { first: Math.max(0, first - TEMPO_BEATS), last: first });
  const after = tempoOf(beats, { first: last, last: Math.min(beats.length - 1, last + TEMPO_BEATS) });
  if (before !== null && after !== null) return (before + after) / 2;
  return before ?? after ?? tempoOf(beats, { first, last }) ?? MINUTE_MS / MIN_SPACING_MS;
}

function fixedIndices(
  beats: readonly Beat[],
  { first, last }: Range,
  stays: (beat: Beat) => boolean,
  lastStays: boolean,
): number[] {
  const fixed: number[] = [];
  for (let index = first; index <= last; index += 1) {
    if (index === first || (index === last && lastStays) || stays(beatAt(beats, index))) fixed.push(index);
  }
  return fixed;
}

/** Return the beats from the first to the last fixed index, evenly spaced between each two of them. */
function fillSegments(
  beats: readonly Beat[],
  fixed: readonly number[],
  intervalsFor: (spanMs: number) => number,
): Beat[] {
  let id = freshId(beats);
  const [start = 0] = fixed;
  const filled: Beat[] = [beatAt(beats, start)];
  for (let segment = 1; segment < fixed.length; segment += 1) {
    const from = fixed[segment - 1] ?? start;
    const to = fixed[segment] ?? start;
    const left = beatAt(beats, from);
    const right = beatAt(beats, to);
    const intervals = intervalsFor(right.ms - left.ms);
    const old = beats.slice(from + 1, to);
    const recount = intervals - 1 !== old.length ? barCounter(beats, from) : null;
    for (let step = 1; step < intervals; step += 1) {
      const time = roundInside(left.ms + (step / intervals) * (right.ms - left.ms), right.ms);
      const reused = old[step - 1];
      const beat = reused === undefined ? newBeat(id++, time) : { ...reused, ms: time, anchor: false };
      filled.push(recount === null ? beat : { ...beat, downbeat: recount(step) });
    }
    filled.push(right);
  }
  return filled;
}

/** Return the beats laid so far, which end with the beat of `index`, and those after it at a tempo.
 *
 * They end within half an interval of where the beats ended before.
 */
function layTail({ beats, durationMs }: Grid, laid: readonly Beat[], index: number, period: number): Beat[] {
  let id = freshId([...beats, ...laid]);
  const starts = barCounter(beats, index);
  const start = beatAt(beats, index).ms;
  const end = Math.min(durationMs, Math.max(beatAt(beats, beats.length - 1).ms, start) + period / 2);
  const tail = [...laid];
  for (let step = 1; start + step * period <= end; step += 1) {
    const reused = beats[index + step];
    const time = roundInside(start + step * period, durationMs);
    tail.push(
      reused === undefined
        ? newBeat(id++, time, starts(step))
        : { ...reused, ms: time, anchor: false },
    );
  }
  return tail;
}

/** Return a function that tells whether the beat so many steps after an index begins a bar.
 *
 * It goes by the last whole bar up to the index, because beats may be missing in the bar of the index itself.
 */
function barCounter(beats: readonly Beat[], index: number): (step: number) => boolean {
  const starts = downbeatIndices(beats.slice(0, index + 1));
  const start = starts[starts.length - 1];
  if (start === undefined) return () => false;
  const before = starts[starts.length - 2];
  const length = before === undefined ? usualBarLength(beats) : start - before;
  return (step) => (index + step - start) % length === 0;
}

/** Return the time nearest to a wanted one at which the beats around an anchor still fit. */
function clampAnchor({ beats, durationMs }: Grid, index: number, before: number, next: number, ms: number): number {
  const place = (other: number): number => beatAt(beats, other).ms;
  let least = index > 0 ? place(index - 1) + MIN_SPACING_MS : 0;
  if (before !== -1) least = place(before) + (index - before) * MIN_SPACING_MS;
  const most = next === -1 ? durationMs : place(next) - (next - index) * MIN_SPACING_MS;
  return Math.min(Math.max(ms, least), most);
}
