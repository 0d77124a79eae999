/** Decides what to do with beats that the server has sent while someone may be editing. Pure. */
import { isDirty, sameBeats, type EditorState } from "./model";
import type { BeatSheet } from "./sheet";

/** Ignore them; count the edits against them; show them; or offer them beside the edits. */
export type Verdict = "ignore" | "rebase" | "load" | "offer";

/** Return what to do with a sheet. `base` is the one that the edits start from. Edits are never lost to it. */
export function judge(sheet: BeatSheet, base: Pick<BeatSheet, "version" | "etag">, state: EditorState): Verdict {
  if (sameBeats(sheet.beats, state.present.beats)) return "rebase";
  if (sameBeats(sheet.beats, state.saved)) {
    // Another tag for the same version means that a newer version is on its way. With its tag a save would overwrite it.
    return sheet.version === base.version && sheet.etag !== base.etag ? "ignore" : "rebase";
  }
  return isDirty(state) ? "offer" : "load";
}
