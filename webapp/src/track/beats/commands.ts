/** Runs the commands of the editor: what keys, buttons and menus do. */
import type { AudioEngine } from "../player/engine";
import { follow, panBy, reveal, spanOf, fitView, zoomAt, zoomToPart } from "./canvas/view";
import { changeGain, changeView, type Timeline } from "./canvas/timeline";
import type { Command } from "./keys";
import type { Beat, EditorAction, EditorState, Operation, Range } from "./model";
import { indexHere, rangeOf, type Scope } from "./scope";
import type { Section } from "./sheet";

export interface CommandContext {
  readonly state: EditorState;
  readonly dispatch: (action: EditorAction) => void;
  readonly engine: AudioEngine;
  readonly timeline: Timeline;
  readonly sections: readonly Section[];
  readonly scope: Scope;
  readonly mayEdit: boolean;
  /** Returns the onset near a time, or the time itself. */
  readonly snap: (ms: number) => number;
  readonly tap: () => void;
  readonly save: () => void;
}

const NUDGE_MS = 5;
const FINE_MS = 1;
const ZOOM = 1.6;
const GAIN = 1.25;
const EDITS = new Set<Command>([
  "nudge_earlier",
  "nudge_later",
  "nudge_earlier_fine",
  "nudge_later_fine",
  "insert",
  "delete",
  "set_downbeat",
  "toggle_downbeat",
  "half",
  "half_other",
  "double",
  "anchor",
  "lock",
  "fill",
  "undo",
  "redo",
  "save",
]);

/** Tell whether a command changes beats. */
export function isEdit(command: Command): boolean {
  return EDITS.has(command);
}

/** Run a command; one that changes beats does nothing for those who may not edit. */
export function runCommand(command: Command, context: CommandContext): void {
  if (isEdit(command) && !context.mayEdit) return;
  const { state, dispatch, engine, timeline } = context;
  const operate = (operation: Operation | null): void => {
    if (operation !== null) dispatch({ type: "operate", operation });
  };
  switch (command) {
    case "play":
      return engine.toggle();
    case "previous":
      return step(context, -1, false);
    case "next":
      return step(context, 1, false);
    case "extend_previous":
      return step(context, -1, true);
    case "extend_next":
      return step(context, 1, true);
    case "previous_bar":
      return goTo(context, barFrom(context, -1), false);
    case "next_bar":
      return goTo(context, barFrom(context, 1), false);
    case "first":
      return goTo(context, state.present.beats[0], false);
    case "last":
      return goTo(context, state.present.beats.at(-1), false);
    case "nudge_earlier":
      return operate(nudge(state, -NUDGE_MS));
    case "nudge_later":
      return operate(nudge(state, NUDGE_MS));
    case "nudge_earlier_fine":
      return operate(nudge(state, -FINE_MS));
    case "nudge_later_fine":
      return operate(nudge(state, FINE_MS));
    case "insert":
      return operate({ kind: "insert", ms: context.snap(engine.positionMs()) });
    case "delete":
      return operate(state.present.selection.size === 0 ? null : { kind: "delete", ids: [...state.present.selection] });
    case "undo":
    case "redo":
      return dispatch({ type: command });
    case "select_all":
      return dispatch({ type: "select", ids: state.present.beats.map(({ id }) => id) });
    case "select_from_here": {
      const first = indexHere(state, engine.positionMs()) ?? 0;
      const ids = state.present.beats.slice(first).map(({ id }) => id);
      return dispatch({ type: "select", ids, focus: ids[0] ?? null });
    }
    case "clear":
      return dispatch({ type: "select", ids: [] });
    case "tap":
      return context.tap();
    case "save":
      return context.save();
    case "zoom_in":
    case "zoom_out":
      return changeView(timeline, (view, durationMs) =>
        zoomAt(view, command === "zoom_in" ? ZOOM : 1 / ZOOM, anchorMs(context), durationMs),
      );
    case "zoom_fit":
      return changeView(timeline, (_view, durationMs) => fitView(durationMs));
    case "zoom_selection":
      return zoomToSelection(context);
    case "gain_up":
      return changeGain(timeline, GAIN);
    case "gain_down":
      return changeGain(timeline, 1 / GAIN);
    case "follow":
      return timeline.following.set(!timeline.following.get());
    case "metronome":
      return engine.setClickVolume(engine.state().clickVolume > 0 ? 0 : 0.6);
    case "loop":
      return toggleLoop(context);
    default:
      return operate(editOf(command, context));
  }
}

/** Return the operation of a command on the beats of the scope or of the selection; null where there are none. */
export function editOf(command: Command, { state, engine, scope }: CommandContext): Operation | null {
  const position = engine.positionMs();
  const range = rangeOf(scope, state, position);
  const here = indexHere(state, position);
  const { beats, selection } = state.present;
  const ids = selection.size > 0 ? [...selection] : here === null ? [] : [beats[here]?.id ?? -1];
  if (range === null || here === null) return null;
  const chosen = beats.filter(({ id }) => ids.includes(id));
  switch (command) {
    case "half":
      return { kind: "half", range, phase: phaseOfBars(beats, range) };
    case "half_other":
      return { kind: "half", range, phase: phaseOfBars(beats, range) === 0 ? 1 : 0 };
    case "double":
      return { kind: "double", range };
    case "set_downbeat":
      return { kind: "set_downbeat", index: here, last: scope === "selection" ? range.last : beats.length - 1 };
    case "toggle_downbeat":
      return { kind: "toggle_downbeat", ids };
    case "anchor":
      return { kind: "set_anchor", ids, anchor: !chosen.every(({ anchor }) => anchor) };
    case "lock":
      return { kind: "set_locked", ids, locked: !chosen.every(({ locked }) => locked) };
    case "fill": {
      const inner = rangeOf("selection", state, position);
      return inner === null || inner.first === inner.last ? null : { kind: "fill", range: inner };
    }
    default:
      return null;
  }
}

/** Return the phase in which halving keeps most of the beats that begin a bar. */
function phaseOfBars(beats: readonly Beat[], { first, last }: Range): 0 | 1 {
  const starts = beats.slice(first, last + 1).flatMap(({ downbeat }, place) => (downbeat ? [place] : []));
  return 2 * starts.filter((place) => place % 2 === 1).length > starts.length ? 1 : 0;
}

function nudge({ present }: EditorState, byMs: number): Operation | null {
  return present.selection.size === 0 ? null : { kind: "move", ids: [...present.selection], byMs };
}

function step(context: CommandContext, by: number, extend: boolean): void {
  const { state, engine } = context;
  const { beats } = state.present;
  const focus = beats.findIndex(({ id }) => id === state.focus);
  const edge = by > 0 ? beats.findLastIndex(({ id }) => state.present.selection.has(id)) : focus;
  const from = state.present.selection.size === 0 ? -1 : extend ? edge : focus;
  if (from !== -1) return goTo(context, beats[Math.min(beats.length - 1, Math.max(0, from + by))], extend);
  const position = engine.positionMs();
  const after = beats.findIndex(({ ms }) => ms > position + 1);
  const next = by > 0 ? (after === -1 ? beats.length - 1 : after) : beats.findLastIndex(({ ms }) => ms < position - 1);
  goTo(context, beats[Math.max(0, next)], extend);
}

function barFrom({ state, engine }: CommandContext, by: number): Beat | undefined {
  const { beats } = state.present;
  const focus = beats.find(({ id }) => id === state.focus && state.present.selection.has(id));
  const from = focus?.ms ?? engine.positionMs();
  if (by > 0) return beats.find(({ ms, downbeat }) => downbeat && ms > from + 1);
  return beats.findLast(({ ms, downbeat }) => downbeat && ms < from - 1);
}

/** Select a beat, bring it into view, and put the playhead there unless the song plays. */
function goTo({ dispatch, engine, timeline }: CommandContext, beat: Beat | undefined, extend: boolean): void {
  if (beat === undefined) return;
  dispatch(extend ? { type: "extend", id: beat.id } : { type: "select", ids: [beat.id] });
  if (!engine.state().playing) engine.seek(beat.ms);
  changeView(timeline, (view, durationMs) => reveal(view, beat.ms, durationMs));
}

/** Return what stays in its place when keys zoom: the pointer, the selected beat or the playhead, if it is visible. */
function anchorMs({ state, engine, timeline }: CommandContext): number {
  const view = timeline.view.get();
  const focus = state.present.beats.find(({ id }) => id === state.focus && state.present.selection.has(id));
  const candidates = [timeline.hover.get(), focus?.ms, engine.positionMs()];
  const visible = candidates.find((ms) => typeof ms === "number" && ms >= view.startMs && ms <= view.endMs);
  return visible ?? (view.startMs + view.endMs) / 2;
}

function zoomToSelection({ state, timeline, engine, sections }: CommandContext): void {
  const chosen = state.present.beats.filter(({ id }) => state.present.selection.has(id));
  const first = chosen[0];
  const last = chosen.at(-1);
  if (first === undefined || last === undefined || first === last) {
    const at = first?.ms ?? engine.positionMs();
    const section = sections.find(({ start_ms, end_ms }) => at >= start_ms && at < end_ms);
    if (section) changeView(timeline, (_view, durationMs) => zoomToPart(section.start_ms, section.end_ms, durationMs));
    return;
  }
  changeView(timeline, (_view, durationMs) => zoomToPart(first.ms, last.ms, durationMs));
}

function toggleLoop({ state, engine, sections }: CommandContext): void {
  if (engine.state().loop !== null) return engine.setLoop(null);
  const chosen = state.present.beats.filter(({ id }) => state.present.selection.has(id));
  const [startMs, endMs] = [chosen[0]?.ms, chosen.at(-1)?.ms];
  if (startMs !== undefined && endMs !== undefined && endMs > startMs) return engine.setLoop({ startMs, endMs });
  const at = startMs ?? engine.positionMs();
  const section = sections.find(({ start_ms, end_ms }) => at >= start_ms && at < end_ms);
  if (section) engine.setLoop({ startMs: section.start_ms, endMs: section.end_ms });
}

/** Go to the beginning of the next section, or of this one, or of the one before. */
export function jumpSection({ engine, sections, timeline }: Pick<CommandContext, "engine" | "sections" | "timeline">, by: 1 | -1): void {
  const at = engine.positionMs();
  const target = by > 0 ? sections.find(({ start_ms }) => start_ms > at + 1) : sections.findLast(({ start_ms }) => start_ms < at - 800);
  if (target === undefined && by > 0) return;
  const ms = target?.start_ms ?? 0;
  engine.seek(ms);
  changeView(timeline, (view, durationMs) =>
    ms >= view.startMs && ms <= view.endMs ? view : spanOf(view) < durationMs ? follow(view, ms, durationMs) : panBy(view, 0, durationMs),
  );
}
