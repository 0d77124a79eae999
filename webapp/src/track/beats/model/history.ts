/** Keeps the state of the editor: beats, selection, undo and redo, and what is saved. One reducer, immutable states. */
import { applyOperation } from "./apply";
import { sameBeats } from "./diff";
import type { Beat, Grid, Operation, OperationKind, Problem } from "./types";

/** What undo and redo restore. */
interface Step {
  readonly beats: readonly Beat[];
  readonly selection: ReadonlySet<number>;
  /** The operation that made these beats; null for those at the beginning. */
  readonly kind: OperationKind | "load" | null;
}

export interface EditorState {
  readonly durationMs: number;
  readonly present: Step;
  readonly past: readonly Step[];
  readonly future: readonly Step[];
  /** The beats of the version that the edits start from. */
  readonly saved: readonly Beat[];
  /** The beat from which keys and a range go on: the one that was selected last. */
  readonly focus: number | null;
  /** Why the last operation was refused; null if it was not. */
  readonly problem: Problem | null;
}

export type EditorAction =
  | { readonly type: "operate"; readonly operation: Operation }
  | { readonly type: "undo" }
  | { readonly type: "redo" }
  | { readonly type: "select"; readonly ids: Iterable<number>; readonly focus?: number | null }
  | { readonly type: "toggle"; readonly id: number }
  /** Selects from the focus to a beat. */
  | { readonly type: "extend"; readonly id: number }
  /** Beats came from the server: they become what is saved, and take the place of the edits. */
  | { readonly type: "load"; readonly beats: readonly Beat[]; readonly durationMs: number }
  /** These beats were saved; the edits made since then stay. */
  | { readonly type: "saved"; readonly beats: readonly Beat[] }
  /** Other beats were saved by someone; the edits stay and count against them. */
  | { readonly type: "rebase"; readonly beats: readonly Beat[] }
  /** Takes edits that were kept elsewhere, as a step that can be undone. */
  | { readonly type: "restore"; readonly beats: readonly Beat[] }
  /** Goes back to what is saved, as a step that can be undone. */
  | { readonly type: "revert" }
  | { readonly type: "dismiss" };

const NONE: ReadonlySet<number> = new Set();

/** Return the state that shows saved beats. */
export function openEditor(beats: readonly Beat[], durationMs: number): EditorState {
  return {
    durationMs,
    present: { beats, selection: NONE, kind: null },
    past: [],
    future: [],
    saved: beats,
    focus: null,
    problem: null,
  };
}

/** Return the grid to operate on. */
export function gridOf({ present, durationMs }: EditorState): Grid {
  return { beats: present.beats, durationMs };
}

/** Tell whether there is something to save. Locks and anchors are the editor's own and are not saved. */
export function isDirty({ present, saved }: EditorState): boolean {
  return !sameBeats(present.beats, saved);
}

/** Return the next state. */
export function reduceEditor(state: EditorState, action: EditorAction): EditorState {
  switch (action.type) {
    case "operate":
      return operate(state, action.operation);
    case "undo": {
      const step = state.past[state.past.length - 1];
      if (step === undefined) return state;
      const future = [state.present, ...state.future];
      return withFocus({ ...state, present: step, past: state.past.slice(0, -1), future, problem: null });
    }
    case "redo": {
      const [step, ...future] = state.future;
      if (step === undefined) return state;
      return withFocus({ ...state, present: step, past: [...state.past, state.present], future, problem: null });
    }
    case "select":
      return select(state, new Set(action.ids), action.focus);
    case "toggle": {
      const selection = new Set(state.present.selection);
      const added = !selection.delete(action.id);
      if (added) selection.add(action.id);
      return select(state, selection, added ? action.id : state.focus);
    }
    case "extend":
      return extend(state, action.id);
    case "load":
      return openEditor(action.beats, action.durationMs);
    case "saved":
    case "rebase":
      return { ...state, saved: action.beats, problem: null };
    case "restore":
      return push(state, { beats: action.beats, selection: NONE, kind: "load" });
    case "revert":
      return isDirty(state) ? push(state, { beats: state.saved, selection: NONE, kind: "load" }) : state;
    case "dismiss":
      return state.problem === null ? state : { ...state, problem: null };
  }
}

function operate(state: EditorState, operation: Operation): EditorState {
  const result = applyOperation(gridOf(state), operation);
  if (!result.ok) return { ...state, problem: result.problem };
  const there = new Set(result.beats.map(({ id }) => id));
  const wanted = result.touched ?? [...state.present.selection];
  const selection = new Set(wanted.filter((id) => there.has(id)));
  return push(state, { beats: result.beats, selection, kind: operation.kind });
}

function push(state: EditorState, step: Step): EditorState {
  return withFocus({ ...state, present: step, past: [...state.past, state.present], future: [], problem: null });
}

function select(state: EditorState, selection: ReadonlySet<number>, focus?: number | null): EditorState {
  const last = [...selection][selection.size - 1] ?? null;
  return withFocus({ ...state, present: { ...state.present, selection }, focus: focus === undefined ? last : focus });
}

function extend(state: EditorState, id: number): EditorState {
  const { beats } = state.present;
  const to = beats.findIndex((beat) => beat.id === id);
  const from = beats.findIndex((beat) => beat.id === state.focus);
  if (to === -1) return state;
  const start = from === -1 ? to : from;
  const range = beats.slice(Math.min(start, to), Math.max(start, to) + 1).map((beat) => beat.id);
  return { ...state, present: { ...state.present, selection: new Set(range) }, focus: state.focus ?? id };
}

/** Return the state with a focus that is one of its beats. */
function withFocus(state: EditorState): EditorState {
  const { beats, selection } = state.present;
  if (state.focus !== null && (selection.has(state.focus) || beats.some(({ id }) => id === state.focus))) return state;
  const [first] = selection;
  return { ...state, focus: first ?? null };
}
