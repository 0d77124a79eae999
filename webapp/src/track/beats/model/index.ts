/** The pure model of the beat editor. */
export { applyOperation, rangeFrom } from "./apply";
export { diffBeats, sameBeats, type BeatDiff, type ComparedBeat } from "./diff";
export * from "./grid";
export { gridOf, isDirty, openEditor, reduceEditor, type EditorAction, type EditorState } from "./history";
export * from "./rules";
export { addTap, tapTempo, type TapTempo } from "./tap";
export type * from "./types";
