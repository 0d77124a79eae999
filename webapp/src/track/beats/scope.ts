/** Says which beats an operation changes. Pure. */
import { nearestIndex, wholeRange, type EditorState, type Range } from "./model";

export type Scope = "all" | "from" | "selection";

/** Return what the selection suggests: nothing selected means all beats, one beat from here on, several those. */
export function suggestedScope({ present }: EditorState): Scope {
  if (present.selection.size === 0) return "all";
  return present.selection.size === 1 ? "from" : "selection";
}

/** Return the index of the beat from which an operation goes on: the first selected one, or the one at the playhead. */
export function indexHere({ present }: EditorState, positionMs: number): number | null {
  const first = present.beats.findIndex(({ id }) => present.selection.has(id));
  return first === -1 ? nearestIndex(present.beats, positionMs) : first;
}

/** Return the range of a scope; null where there are no such beats. */
export function rangeOf(scope: Scope, state: EditorState, positionMs: number): Range | null {
  const { beats, selection } = state.present;
  if (beats.length === 0) return null;
  if (scope === "all") return wholeRange(beats);
  const first = indexHere(state, positionMs);
  if (first === null) return null;
  if (scope === "from") return { first, last: beats.length - 1 };
  const last = beats.findLastIndex(({ id }) => selection.has(id));
  return last === -1 ? null : { first, last };
}
