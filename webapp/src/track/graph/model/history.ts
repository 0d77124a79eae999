/** Keeps the edits of a graph: undo, redo, and the saved graph that they start from. One reducer, immutable states. */
import type { GraphDocument } from "./document";

export interface GraphHistory {
  readonly past: readonly GraphDocument[];
  readonly present: GraphDocument;
  readonly future: readonly GraphDocument[];
  /** The graph that the server has, as far as the editor knows, and its entity tag. */
  readonly saved: GraphDocument;
  readonly etag: string;
  /** What the last edit changed; the next edit of the same is part of that step. Null after it is finished. */
  readonly open: string | null;
}

export type GraphAction =
  /** `subject` names what is changed, so that dragging a slider is one step; null for a step of its own. */
  | { readonly type: "edit"; readonly graph: GraphDocument; readonly subject: string | null }
  /** Ends a step: the next edit of the same subject is another one. */
  | { readonly type: "finish" }
  | { readonly type: "undo" }
  | { readonly type: "redo" }
  /** A graph came from the server and takes the place of everything. */
  | { readonly type: "load"; readonly graph: GraphDocument; readonly etag: string }
  /** The server has this graph now; the edits stay and count against it. */
  | { readonly type: "saved"; readonly graph: GraphDocument; readonly etag: string };

const STEPS_MAX = 200;

/** Return the history of a graph that was just read. */
export function openHistory(graph: GraphDocument, etag: string): GraphHistory {
  return { past: [], present: graph, future: [], saved: graph, etag, open: null };
}

/** Return the next state. */
export function reduceHistory(state: GraphHistory, action: GraphAction): GraphHistory {
  switch (action.type) {
    case "edit":
      return edit(state, action.graph, action.subject);
    case "finish":
      return state.open === null ? state : { ...state, open: null };
    case "undo": {
      const before = state.past[state.past.length - 1];
      if (before === undefined) return state;
      return { ...state, past: state.past.slice(0, -1), present: before, future: [state.present, ...state.future], open: null };
    }
    case "redo": {
      const [next, ...future] = state.future;
      if (next === undefined) return state;
      return { ...state, past: [...state.past, state.present], present: next, future, open: null };
    }
    case "load":
      return openHistory(action.graph, action.etag);
    case "saved":
      return { ...state, saved: action.graph, etag: action.etag, open: null };
  }
}

function edit(state: GraphHistory, graph: GraphDocument, subject: string | null): GraphHistory {
  if (graph === state.present) return state;
  const goesOn = subject !== null && subject === state.open;
  const past = goesOn ? state.past : [...state.past, state.present].slice(-STEPS_MAX);
  return { ...state, past, present: graph, future: [], open: subject };
}
