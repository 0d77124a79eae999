import { useEffect, useRef, type PointerEvent } from "react";
import type { ComparisonMarks } from "../comparison/marks";
import { paintTicks } from "./paint/paintComparison";
import { sectionColour } from "./paint/paintGrid";
import type { PaintedSection } from "./paint/picture";
import { withAlpha } from "./paint/palette";
import { WavePainter } from "./paint/paintWave";
import type { Peaks } from "./paint/peaks";
import { changeView, type Timeline } from "./timeline";
import { useCanvas, type Surface } from "./useCanvas";
import { usePalette } from "./usePalette";
import { fitView, panBy, spanOf, timeToX, xToTime } from "./view";

export interface OverviewCanvasProps {
  timeline: Timeline;
  peaks: Peaks | null;
  sections: readonly PaintedSection[];
  /** How the beats differ from others; null where they are not compared. */
  comparison: ComparisonMarks | null;
  positionMs: () => number;
  onPlayhead: (listener: (ms: number) => void) => () => void;
  onSeek: (ms: number) => void;
  onPan: () => void;
  label: string;
  describedBy: string;
}

const BAND = 5;

/** Draws the whole song with the visible part; a press on that part moves it, elsewhere it moves the playhead. */
export function OverviewCanvas({ timeline, peaks, sections, comparison, positionMs, onPlayhead, onSeek, onPan, label, describedBy }: OverviewCanvasProps) {
  const painter = useRef<WavePainter | null>(null);
  const drag = useRef<{ kind: "pan"; lastX: number } | { kind: "seek" } | null>(null);
  const whole = fitView(timeline.durationMs);

  const base = useCanvas(({ context, width, height, scale }: Surface) => {
    if (palette === null) return;
    painter.current ??= new WavePainter();
    painter.current.paint(context, { peaks, samples: null }, whole, 1, palette.pixels, 0, Math.round(width * scale), Math.round(height * scale));
    for (const section of sections) {
      const { startMs, endMs } = section;
      const { colour } = sectionColour(palette, section);
      const left = timeToX(whole, width, startMs);
      const wide = timeToX(whole, width, endMs) - left - 1;
      context.fillStyle = colour;
      context.fillRect(left, 0, wide, BAND);
      context.fillStyle = withAlpha(colour, 0.08);
      context.fillRect(left, BAND, wide, height - BAND);
    }
    if (comparison === null) return;
    const x = (ms: number): number => timeToX(whole, width, ms);
    paintTicks(context, comparison.moved.map(({ toMs }) => toMs), palette.warn, x, height);
    paintTicks(context, comparison.added, palette.ok, x, height);
    paintTicks(context, comparison.removed, palette.danger, x, height);
  });
  const palette = usePalette(base.canvas);

  const over = useCanvas(({ context, width, height }: Surface) => {
    context.clearRect(0, 0, width, height);
    if (palette === null) return;
    const view = timeline.view.get();
    const left = timeToX(whole, width, view.startMs);
    const right = Math.max(left + 3, timeToX(whole, width, view.endMs));
    context.fillStyle = withAlpha(palette.background, 0.6);
    context.fillRect(0, BAND, left, height);
    context.fillRect(right, BAND, width - right, height);
    context.strokeStyle = palette.accent;
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, BAND + 0.5, right - left - 1, height - BAND - 1);
    context.fillStyle = palette.danger;
    context.fillRect(Math.round(timeToX(whole, width, positionMs())), 0, 2, height);
  });
  const paintSoon = over.invalidate;
  useEffect(() => {
    const stops = [timeline.view.subscribe(paintSoon), onPlayhead(paintSoon)];
    return () => stops.forEach((stop) => stop());
  }, [timeline, paintSoon, onPlayhead]);

  const at = (event: PointerEvent<HTMLCanvasElement>): { ms: number; x: number; width: number } => {
    const box = event.currentTarget.getBoundingClientRect();
    const x = event.clientX - box.left;
    return { x, width: box.width, ms: Math.min(Math.max(xToTime(whole, box.width, x), 0), timeline.durationMs) };
  };
  const press = (event: PointerEvent<HTMLCanvasElement>): void => {
    const { ms, x } = at(event);
    event.currentTarget.setPointerCapture(event.pointerId);
    const view = timeline.view.get();
    const isPart = ms >= view.startMs && ms <= view.endMs && spanOf(view) < 0.98 * timeline.durationMs;
    drag.current = isPart ? { kind: "pan", lastX: x } : { kind: "seek" };
    if (!isPart) seekTo(ms);
  };
  const seekTo = (ms: number): void => {
    onSeek(ms);
    changeView(timeline, (view, durationMs) => panBy(view, ms - (view.startMs + view.endMs) / 2, durationMs));
  };
  const move = (event: PointerEvent<HTMLCanvasElement>): void => {
    const { ms, x, width } = at(event);
    if (drag.current?.kind === "seek") seekTo(ms);
    if (drag.current?.kind !== "pan") return;
    const by = ((x - drag.current.lastX) / width) * timeline.durationMs;
    drag.current.lastX = x;
    onPan();
    changeView(timeline, (view, durationMs) => panBy(view, by, durationMs));
  };
  const end = (): void => {
    drag.current = null;
  };

  return (
    <div className="relative h-full w-full overflow-hidden">
      <canvas ref={base.canvas} aria-hidden="true" className="absolute inset-0 h-full w-full" />
      <canvas
        ref={over.canvas}
        role="img"
        aria-label={label}
        aria-describedby={describedBy}
        className="absolute inset-0 h-full w-full cursor-pointer touch-none"
        onPointerDown={press}
        onPointerMove={move}
        onPointerUp={end}
        onPointerCancel={end}
      />
    </div>
  );
}
