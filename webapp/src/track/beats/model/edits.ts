/** Edits single beats: insert, delete, move, lock, anchor. Pure; each function returns new beats. */
import { beatAt, freshId, indexAtOrAfter, newBeat } from "./grid";
import { MIN_SPACING_MS, roundMs } from "./rules";
import { accept, refuse, type Beat, type Grid, type Result } from "./types";

/** Insert a beat at a time; refuse within 50 ms of another. */
export function insertBeat({ beats, durationMs }: Grid, ms: number): Result {
  const time = roundMs(ms);
  if (time < 0 || time > durationMs) return refuse("outside");
  const index = indexAtOrAfter(beats, time);
  const before = beats[index - 1];
  const after = beats[index];
  if (before !== undefined && time - before.ms < MIN_SPACING_MS) return refuse("too_close");
  if (after !== undefined && after.ms - time < MIN_SPACING_MS) return refuse("too_close");
  const added = newBeat(freshId(beats), time);
  return accept([...beats.slice(0, index), added, ...beats.slice(index)], [added.id]);
}

/** Delete beats, but for locked ones; select the beat that follows. */
export function deleteBeats({ beats }: Grid, ids: readonly number[]): Result {
  const wanted = new Set(ids);
  const kept = beats.filter((beat) => beat.locked || !wanted.has(beat.id));
  if (kept.length === beats.length) return refuse(beats.some(({ id }) => wanted.has(id)) ? "locked" : "no_such_beat");
  const first = beats.findIndex((beat) => wanted.has(beat.id) && !beat.locked);
  const following = kept[Math.min(first, kept.length - 1)];
  return accept(kept, following === undefined ? [] : [following.id]);
}

/** Move beats by the same time; they stop 50 ms from a neighbour that stays, and at the ends of the song. */
export function moveBeats({ beats, durationMs }: Grid, ids: readonly number[], byMs: number): Result {
  const wanted = new Set(ids);
  const moves = beats.map((beat) => wanted.has(beat.id) && !beat.locked);
  if (!moves.includes(true)) return refuse(beats.some(({ id }) => wanted.has(id)) ? "locked" : "no_such_beat");
  let least = -Infinity;
  let most = Infinity;
  beats.forEach((beat, index) => {
    if (moves[index] !== true) return;
    const before = beats[index - 1];
    const after = beats[index + 1];
    if (before === undefined) least = Math.max(least, -beat.ms);
    else if (moves[index - 1] !== true) least = Math.max(least, before.ms + MIN_SPACING_MS - beat.ms);
    if (after === undefined) most = Math.min(most, durationMs - beat.ms);
    else if (moves[index + 1] !== true) most = Math.min(most, after.ms - MIN_SPACING_MS - beat.ms);
  });
  const by = Math.min(Math.max(byMs, least), most);
  const moved = beats.map((beat, index) =>
    moves[index] === true ? { ...beat, ms: roundInside(beat.ms + by, durationMs), confidence: 1 } : beat,
  );
  return moved.some((beat, index) => beat.ms !== beatAt(beats, index).ms) ? accept(moved, ids) : refuse("too_close");
}

/** Lock or unlock beats. */
export function setLocked({ beats }: Grid, ids: readonly number[], locked: boolean): Result {
  return setFlag(beats, ids, (beat) => (beat.locked === locked ? beat : { ...beat, locked }));
}

/** Make beats anchors, or plain beats again. */
export function setAnchor({ beats }: Grid, ids: readonly number[], anchor: boolean): Result {
  return setFlag(beats, ids, (beat) => (beat.anchor === anchor ? beat : { ...beat, anchor }));
}

function setFlag(beats: readonly Beat[], ids: readonly number[], change: (beat: Beat) => Beat): Result {
  const wanted = new Set(ids);
  const changed = beats.map((beat) => (wanted.has(beat.id) ? change(beat) : beat));
  return changed.some((beat, index) => beat !== beats[index]) ? accept(changed) : refuse("nothing_to_do");
}

/** Return a rounded time that is not after the end of the song. */
export function roundInside(ms: number, durationMs: number): number {
  const rounded = roundMs(ms);
  return rounded > durationMs ? Math.floor(durationMs * 10) / 10 : Math.max(rounded, 0);
}
