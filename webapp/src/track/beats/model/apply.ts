/** Applies operations to a grid. Pure. */
import { setDownbeat, setMeter, shiftBars, toggleDownbeats } from "./bars";
import { deleteBeats, insertBeat, moveBeats, setAnchor, setLocked } from "./edits";
import { freshId, newBeat, wholeRange } from "./grid";
import { doubleBeats, halve, shiftBeats, shiftByInterval } from "./levels";
import { findFault, roundMs, SAME_BEAT_MS } from "./rules";
import { adjustAnchor, fillBetween, setTempo } from "./tempo";
import { accept, refuse, type Beat, type Grid, type Operation, type Result } from "./types";

/** Return the beats that an operation gives, which can be saved; or why it is refused. */
export function applyOperation(grid: Grid, operation: Operation): Result {
  const result = run(grid, operation);
  if (!result.ok) return result;
  const fault = findFault(result.beats, grid.durationMs);
  return fault === null ? result : refuse(fault);
}

function run(grid: Grid, operation: Operation): Result {
  switch (operation.kind) {
    case "insert":
      return insertBeat(grid, operation.ms);
    case "delete":
      return deleteBeats(grid, operation.ids);
    case "move":
      return moveBeats(grid, operation.ids, operation.byMs);
    case "half":
      return halve(grid, operation.range, operation.phase);
    case "double":
      return doubleBeats(grid, operation.range);
    case "shift":
      return shiftBeats(grid, operation.range, operation.byMs);
    case "shift_beats":
      return shiftByInterval(grid, operation.range, operation.byBeats);
    case "shift_bars":
      return shiftBars(grid, operation.range, operation.byBeats);
    case "set_downbeat":
      return setDownbeat(grid, operation.index, operation.last);
    case "toggle_downbeat":
      return toggleDownbeats(grid, operation.ids);
    case "set_meter":
      return setMeter(grid, operation.range, operation.beatsPerBar);
    case "set_tempo":
      return setTempo(grid, operation.range, operation.bpm);
    case "fill":
      return fillBetween(grid, operation.range, operation.count);
    case "adjust":
      return adjustAnchor(grid, operation.id, operation.ms);
    case "set_anchor":
      return setAnchor(grid, operation.ids, operation.anchor);
    case "set_locked":
      return setLocked(grid, operation.ids, operation.locked);
    case "replace":
      return replaceBeats(grid, operation.beatsMs, operation.downbeatsMs);
  }
}

/** Take other beats as a whole, but for the locked ones; a beat at the same time keeps its id. */
function replaceBeats(
  { beats }: Grid,
  beatsMs: readonly number[],
  downbeatsMs: readonly number[],
): Result {
  const starts = new Set(downbeatsMs.map(roundMs));
  const old = new Map(beats.map((beat) => [beat.ms, beat]));
  const locked = beats.filter((beat) => beat.locked);
  let id = freshId(beats);
  const taken: Beat[] = [...locked];
  for (const given of beatsMs) {
    const ms = roundMs(given);
    if (locked.some((beat) => Math.abs(beat.ms - ms) < SAME_BEAT_MS)) continue;
    const same = old.get(ms);
    taken.push(same === undefined ? newBeat(id++, ms, starts.has(ms)) : { ...same, downbeat: starts.has(ms) });
  }
  return accept(taken.sort((one, other) => one.ms - other.ms));
}

/** Return the range from an index to the end of the song. */
export function rangeFrom(grid: Grid, index: number): { first: number; last: number } {
  return { ...wholeRange(grid.beats), first: index };
}
