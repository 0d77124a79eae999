/** Changes where bars begin. Pure; no beat moves, and a locked beat keeps its place in the bar. */
import { barLengthAt, beatAt, inRange, isRange } from "./grid";
import { MAX_BEATS_PER_BAR } from "./rules";
import { accept, refuse, type Beat, type Grid, type Range, type Result } from "./types";

/** Begin a bar at a beat, and count the bars after it anew up to `last` in the length of the bar at this place. */
export function setDownbeat(grid: Grid, index: number, last: number): Result {
  const range = { first: index, last };
  if (!isRange(grid.beats, range)) return refuse("no_such_beat");
  const beat = beatAt(grid.beats, index);
  if (beat.locked && !beat.downbeat) return refuse("locked");
  return countBars(grid.beats, range, barLengthAt(grid.beats, index));
}

/** Count bars of a length through a range, from its first beat on. */
export function setMeter({ beats }: Grid, range: Range, beatsPerBar: number): Result {
  if (!isRange(beats, range)) return refuse("no_such_beat");
  if (!Number.isInteger(beatsPerBar) || beatsPerBar < 1 || beatsPerBar > MAX_BEATS_PER_BAR) return refuse("bad_meter");
  const first = beatAt(beats, range.first);
  if (first.locked && !first.downbeat) return refuse("locked");
  return countBars(beats, range, beatsPerBar);
}

/** Begin or end a bar at single beats; all others stay as they are. */
export function toggleDownbeats({ beats }: Grid, ids: readonly number[]): Result {
  const wanted = new Set(ids);
  const changed = beats.map((beat) =>
    wanted.has(beat.id) && !beat.locked ? { ...beat, downbeat: !beat.downbeat } : beat,
  );
  if (changed.some((beat, index) => beat !== beats[index])) return accept(changed);
  return refuse(beats.some(({ id }) => wanted.has(id)) ? "locked" : "no_such_beat");
}

/** Begin the bars of a range by whole beats later, or earlier for a negative number. */
export function shiftBars({ beats }: Grid, range: Range, byBeats: number): Result {
  if (!isRange(beats, range)) return refuse("no_such_beat");
  const length = barLengthAt(beats, range.first);
  const start = (index: number): boolean => {
    const source = index - byBeats;
    if (inRange(range, source)) return beatAt(beats, source).downbeat;
    // Beyond the range the bars go on at their length, so that its first and last bar stay whole.
    const inner = source < range.first ? source + length : source - length;
    return inRange(range, inner) && beatAt(beats, inner).downbeat;
  };
  return withDownbeats(beats, (beat, index) => (inRange(range, index) ? start(index) : beat.downbeat));
}

/** Count bars through a range; at a locked downbeat the count begins again. */
function countBars(beats: readonly Beat[], range: Range, beatsPerBar: number): Result {
  let position = 0;
  return withDownbeats(beats, (beat, index) => {
    if (!inRange(range, index)) return beat.downbeat;
    if (beat.locked && beat.downbeat) position = 0;
    const starts = position % beatsPerBar === 0;
    position += 1;
    return starts;
  });
}

function withDownbeats(beats: readonly Beat[], starts: (beat: Beat, index: number) => boolean): Result {
  const changed = beats.map((beat, index) => {
    const downbeat = starts(beat, index);
    return beat.locked || beat.downbeat === downbeat ? beat : { ...beat, downbeat };
  });
  return changed.some((beat, index) => beat !== beats[index]) ? accept(changed) : refuse("nothing_to_do");
}
