/** Changes the metrical level or the phase of beats: half, double, shift. Pure. Locked beats stay as they are. */
import { beatAt, freshId, inRange, isRange, newBeat, timeAtIndex } from "./grid";
import { roundMs } from "./rules";
import { accept, refuse, type Beat, type Grid, type Range, type Result } from "./types";

/** Keep every other beat of a range, from its first (`phase` 0) or its second (1) on, and the locked ones. */
export function halve({ beats }: Grid, range: Range, phase: 0 | 1): Result {
  if (!isRange(beats, range)) return refuse("no_such_beat");
  const kept: number[] = [];
  beats.forEach((beat, index) => {
    if (!inRange(range, index) || (index - range.first) % 2 === phase || beat.locked) kept.push(index);
  });
  if (kept.length === beats.length) return refuse("nothing_to_do");
  const starts = survivingDownbeats(beats, kept);
  return accept(
    kept.map((index, place) => {
      const beat = beatAt(beats, index);
      return beat.locked || beat.downbeat === starts.has(place) ? beat : { ...beat, downbeat: starts.has(place) };
    }),
  );
}

/** Add a beat in the middle of each interval of a range; the bars have twice as many beats. */
export function doubleBeats({ beats }: Grid, range: Range): Result {
  if (!isRange(beats, range)) return refuse("no_such_beat");
  if (range.first === range.last) return refuse("nothing_to_do");
  let id = freshId(beats);
  const doubled: Beat[] = [];
  beats.forEach((beat, index) => {
    doubled.push(beat);
    if (index < range.first || index >= range.last) return;
    const next = beatAt(beats, index + 1);
    doubled.push({
      ...newBeat(id, (beat.ms + next.ms) / 2),
      confidence: Math.min(beat.confidence, next.confidence),
    });
    id += 1;
  });
  return accept(doubled);
}

/** Move the beats of a range by a time; those that leave the song are removed. */
export function shiftBeats({ beats, durationMs }: Grid, range: Range, byMs: number): Result {
  if (!isRange(beats, range)) return refuse("no_such_beat");
  return shiftBy(beats, range, durationMs, (beat) => beat.ms + byMs);
}

/** Move each beat of a range by a part of the interval at its place, so that a changing tempo stays as it is. */
export function shiftByInterval({ beats, durationMs }: Grid, range: Range, byBeats: number): Result {
  if (!isRange(beats, range) || beats.length < 2) return refuse("no_such_beat");
  return shiftBy(beats, range, durationMs, (_beat, index) => timeAtIndex(beats, index + byBeats));
}

function shiftBy(
  beats: readonly Beat[],
  range: Range,
  durationMs: number,
  timeOf: (beat: Beat, index: number) => number,
): Result {
  const moved = beats.map((beat, index) =>
    inRange(range, index) && !beat.locked ? { ...beat, ms: roundMs(timeOf(beat, index)) } : beat,
  );
  if (moved.every((beat, index) => beat.ms === beats[index]?.ms)) return refuse("nothing_to_do");
  return accept(moved.filter(({ ms }) => ms >= 0 && ms <= durationMs));
}

/** Return the new indices of the downbeats that are kept; if hardly any is, of the next beat after each.
 *
 * All of them survive at half the tempo of bars in four, every other one in three. So fewer than a third means that
 * the kept beats are the offbeats. The API's operation follows the same rule.
 */
function survivingDownbeats(beats: readonly Beat[], kept: readonly number[]): Set<number> {
  const places = new Map(kept.map((index, place) => [index, place]));
  const starts = beats.flatMap((beat, index) => (beat.downbeat ? [index] : []));
  const surviving = starts.flatMap((index) => places.get(index) ?? []);
  if (3 * surviving.length >= starts.length) return new Set(surviving);
  const following = starts.map((start) => kept.findIndex((index) => index >= start));
  return new Set(following.filter((place) => place !== -1));
}
