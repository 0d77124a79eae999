import { useEffect, useRef, type MouseEvent as ReactMouseEvent, type PointerEvent as ReactPointerEvent } from "react";
import { applyOperation, type Beat, type EditorAction, type EditorState, gridOf, type Operation } from "../model";
import { formatClock } from "../../clock";
import type { ComparisonMarks } from "../comparison/marks";
import { paintGrid } from "./paint/paintGrid";
import type { PaintedSection } from "./paint/picture";
import { laneAt, lanesOf } from "./layout";
import { beatUnder, HIT_PX } from "./hit";
import { bandTo, CLICK_PX, dragTo, pinchOf, pressAt, type Gesture, type PointerPlace } from "./pointer";
import { paintPlayhead, paintTag } from "./paint/paintOver";
import { WavePainter, type WaveSource } from "./paint/paintWave";
import { useStore } from "./store";
import type { Timeline } from "./timeline";
import { useCanvas, type Surface } from "./useCanvas";
import { usePalette } from "./usePalette";
import { useWheel } from "./useWheel";
import { panBy, pinchView, spanOf, timeToX, xToTime } from "./view";

export interface DetailCanvasProps {
  timeline: Timeline;
  wave: WaveSource;
  editor: EditorState;
  dispatch: (action: EditorAction) => void;
  sections: readonly PaintedSection[];
  /** How the beats differ from others; null where they are not compared. */
  comparison: ComparisonMarks | null;
  loop: { readonly startMs: number; readonly endMs: number } | null;
  mayEdit: boolean;
  /** The time of the playhead. */
  positionMs: () => number;
  /** Calls back in each frame while the song plays and after each seek; returns how to stop. */
  onPlayhead: (listener: (ms: number) => void) => () => void;
  onSeek: (ms: number) => void;
  /** Tells that someone moves the view by hand. */
  onPan: () => void;
  onSection: (section: PaintedSection) => void;
  /** Returns the onset near a time; null where nothing begins. */
  snap: (ms: number, reachMs: number) => number | null;
  label: string;
  describedBy: string;
}

const SNAP_PX = 14;
const MAX_SNAP_MS = 60;

interface Active {
  readonly gesture: Gesture;
  readonly startX: number;
  moved: boolean;
  lastMs: number;
}

/** Draws the visible part of the song with its beats, and lets a pointer edit them. */
export function DetailCanvas(props: DetailCanvasProps) {
  const { timeline, editor, dispatch } = props;
  const painter = useRef<WavePainter | null>(null);
  const active = useRef<Active | null>(null);
  /** The fingers that touch the canvas. */
  const fingers = useRef(new Map<number, PointerPlace>());
  const preview = useRef<readonly Beat[] | null>(null);
  const gain = useStore(timeline.gain);

  const paintBase = ({ context, width, height, scale }: Surface): void => {
    if (palette === null) return;
    const view = timeline.view.get();
    const lanes = lanesOf(height);
    painter.current ??= new WavePainter();
    const wide = Math.round(width * scale);
    const high = Math.round(lanes.wave.height * scale);
    painter.current.paint(context, props.wave, view, gain, palette.pixels, Math.round(lanes.wave.top * scale), wide, high);
    const beats = preview.current ?? editor.present.beats;
    const picture = { ...props, beats, selection: editor.present.selection };
    paintGrid(context, picture, view, palette, width, height);
  };
  const base = useCanvas(paintBase);
  const palette = usePalette(base.canvas);

  const paintOver = ({ context, width, height }: Surface): void => {
    context.clearRect(0, 0, width, height);
    if (palette === null) return;
    const view = timeline.view.get();
    const lanes = lanesOf(height);
    const current = active.current;
    if (current?.gesture.kind === "band" && current.moved) {
      const from = timeToX(view, width, current.gesture.fromMs);
      const to = timeToX(view, width, current.lastMs);
      context.globalAlpha = 0.16;
      context.fillStyle = palette.accent;
      context.fillRect(Math.min(from, to), lanes.bars.top, Math.abs(to - from), lanes.time.top - lanes.bars.top);
      context.globalAlpha = 1;
    }
    const hover = timeline.hover.get();
    if (hover !== null && current === null) {
      context.fillStyle = palette.muted;
      context.fillRect(Math.round(timeToX(view, width, hover)), lanes.bars.top, 1, lanes.time.top - lanes.bars.top);
    }
    paintPlayhead(context, Math.round(timeToX(view, width, props.positionMs())), lanes.bars.top, lanes.time.top, palette);
    if (hover !== null) paintTag(context, formatClock(hover), timeToX(view, width, hover), lanes.time.top, width, palette);
  };
  const over = useCanvas(paintOver);

  const { onPlayhead } = props;
  const [paintBaseSoon, paintOverSoon] = [base.invalidate, over.invalidate];
  useEffect(() => {
    const both = (): void => {
      paintBaseSoon();
      paintOverSoon();
    };
    const stops = [timeline.view.subscribe(both), timeline.hover.subscribe(paintOverSoon), onPlayhead(paintOverSoon)];
    return () => stops.forEach((stop) => stop());
  }, [timeline, paintBaseSoon, paintOverSoon, onPlayhead]);

  const snapped = (ms: number, place: PointerPlace): number => {
    if (place.alt) return ms;
    const reach = Math.min(MAX_SNAP_MS, (SNAP_PX / place.width) * spanOf(timeline.view.get()));
    return props.snap(ms, reach) ?? ms;
  };
  const timeOf = (place: PointerPlace): number => xToTime(timeline.view.get(), place.width, place.x);

  const begin = (event: ReactPointerEvent<HTMLCanvasElement>): void => {
    const place = placeOf(event);
    if (event.pointerType === "touch") fingers.current.set(event.pointerId, place);
    const [one, other] = fingers.current.values();
    if (one && other) {
      // The second finger ends what the first one began.
      cancel();
      event.currentTarget.setPointerCapture(event.pointerId);
      active.current = { gesture: { kind: "pinch", from: pinchOf(one, other), view: timeline.view.get() }, startX: place.x, moved: true, lastMs: timeOf(place) };
      return;
    }
    if (event.button === 2 || active.current !== null) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const { beats, selection } = editor.present;
    const press =
      event.button === 1
        ? { gesture: { kind: "pan", startX: place.x, view: timeline.view.get() } as const }
        : pressAt(place, timeline.view.get(), beats, selection, props.mayEdit);
    active.current = { gesture: press.gesture, startX: place.x, moved: false, lastMs: timeOf(place) };
    const select = "select" in press ? press.select : undefined;
    if (select?.how === "extend" && select.ids[0] !== undefined) dispatch({ type: "extend", id: select.ids[0] });
    else if (select) dispatch({ type: "select", ids: select.ids });
    if (press.gesture.kind === "scrub") props.onSeek(timeOf(place));
  };

  const move = (event: ReactPointerEvent<HTMLCanvasElement>): void => {
    const place = placeOf(event);
    const ms = timeOf(place);
    const current = active.current;
    if (fingers.current.has(event.pointerId)) fingers.current.set(event.pointerId, place);
    if (current?.gesture.kind === "pinch") {
      pinch(current.gesture, place.width);
      return;
    }
    timeline.hover.set(ms);
    if (current === null) {
      event.currentTarget.style.cursor = cursorAt(place, ms, editor, timeline, props.mayEdit);
      return;
    }
    current.moved ||= Math.abs(place.x - current.startX) > CLICK_PX;
    current.lastMs = ms;
    if (!current.moved) return;
    const { gesture } = current;
    if (gesture.kind === "scrub") props.onSeek(ms);
    if (gesture.kind === "pan") {
      props.onPan();
      const by = ((gesture.startX - place.x) / place.width) * spanOf(gesture.view);
      timeline.view.set(panBy(gesture.view, by, timeline.durationMs));
    }
    if (gesture.kind === "drag") {
      const operation = dragTo(gesture, snapped(ms, place));
      preview.current = operation === null ? null : beatsAfter(editor, operation);
      base.invalidate();
    }
    over.invalidate();
  };

  const pinch = ({ from, view }: Extract<Gesture, { kind: "pinch" }>, width: number): void => {
    const [one, other] = fingers.current.values();
    if (!one || !other) return;
    props.onPan();
    timeline.view.set(pinchView(view, from, pinchOf(one, other), width, timeline.durationMs));
  };

  const end = (event: ReactPointerEvent<HTMLCanvasElement>): void => {
    const current = active.current;
    fingers.current.delete(event.pointerId);
    // A finger that stays begins nothing: it was put down for the zoom.
    if (current?.gesture.kind === "pinch" && fingers.current.size > 0) return;
    active.current = null;
    preview.current = null;
    if (current === null) return;
    const place = placeOf(event);
    const ms = timeOf(place);
    const { gesture, moved } = current;
    if (gesture.kind === "drag" && moved) {
      const operation = dragTo(gesture, snapped(ms, place));
      if (operation !== null) dispatch({ type: "operate", operation });
    } else if (gesture.kind === "drag") {
      if (place.command) dispatch({ type: "toggle", id: gesture.id });
      else dispatch({ type: "select", ids: [gesture.id] });
    } else if (gesture.kind === "band" && moved) {
      dispatch({ type: "select", ids: bandTo(gesture, ms, editor.present.beats, editor.present.selection) });
    } else if (gesture.kind === "band" && !gesture.add) {
      clickNothing(place, ms);
    }
    base.invalidate();
    over.invalidate();
  };

  const clickNothing = (place: PointerPlace, ms: number): void => {
    const section = props.sections.find(({ startMs, endMs }) => ms >= startMs && ms < endMs);
    if (laneAt(place.height, place.y) === "sections" && section) props.onSection(section);
    else {
      if (editor.present.selection.size > 0) dispatch({ type: "select", ids: [] });
      props.onSeek(ms);
    }
  };

  const cancel = (): void => {
    active.current = null;
    preview.current = null;
    base.invalidate();
    over.invalidate();
  };

  const insert = (event: ReactMouseEvent<HTMLCanvasElement>): void => {
    const place = placeOf(event);
    const ms = timeOf(place);
    if (!props.mayEdit || laneAt(place.height, place.y) !== "wave") return;
    const { beats } = editor.present;
    if (beatUnder(beats, timeline.view.get(), place.width, place.x, ms, HIT_PX) !== null) return;
    dispatch({ type: "operate", operation: { kind: "insert", ms: snapped(ms, place) } });
  };

  useWheel(over.canvas, timeline, props.onPan);
  return (
    <div className="relative h-full w-full overflow-hidden">
      <canvas ref={base.canvas} aria-hidden="true" className="absolute inset-0 h-full w-full" />
      <canvas
        ref={over.canvas}
        role="img"
        aria-label={props.label}
        aria-describedby={props.describedBy}
        tabIndex={0}
        className="absolute inset-0 h-full w-full touch-pan-y -outline-offset-2"
        onPointerDown={begin}
        onPointerMove={move}
        onPointerUp={end}
        onPointerCancel={(event) => {
          fingers.current.delete(event.pointerId);
          cancel();
        }}
        onPointerLeave={() => timeline.hover.set(null)}
        onDoubleClick={insert}
      />
    </div>
  );
}

function placeOf(event: ReactMouseEvent<HTMLCanvasElement> | ReactPointerEvent<HTMLCanvasElement>): PointerPlace {
  const box = event.currentTarget.getBoundingClientRect();
  return {
    x: event.clientX - box.left,
    y: event.clientY - box.top,
    width: box.width,
    height: box.height,
    shift: event.shiftKey,
    command: event.ctrlKey || event.metaKey,
    alt: event.altKey,
    coarse: "pointerType" in event && event.pointerType === "touch",
  };
}

function beatsAfter(editor: EditorState, operation: Operation): readonly Beat[] | null {
  const result = applyOperation(gridOf(editor), operation);
  return result.ok ? result.beats : null;
}

function cursorAt(place: PointerPlace, ms: number, editor: EditorState, timeline: Timeline, mayEdit: boolean): string {
  const lane = laneAt(place.height, place.y);
  if (lane === "time") return "grab";
  if (lane === "sections") return "pointer";
  if (lane === "bars") return "text";
  const { beats } = editor.present;
  const hit = beatUnder(beats, timeline.view.get(), place.width, place.x, ms, HIT_PX);
  if (hit === null) return "crosshair";
  return mayEdit && beats[hit]?.locked !== true ? "ew-resize" : "pointer";
}
