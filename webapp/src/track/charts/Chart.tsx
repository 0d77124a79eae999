import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { track as trackTexts } from "../../texts/track/track";
import { withAlpha, type Palette } from "../beats/canvas/paint/palette";
import { changeView } from "../beats/canvas/timeline";
import { panBy, spanOf, timeToX, xToTime, zoomAt, zoomToPart, type View } from "../beats/canvas/view";
import { formatClock } from "../clock";
import type { Song } from "../useSong";
import { align, formatValue, type Curve, type Scale } from "./curves";

const t = trackTexts.charts;
const WHEEL_ZOOM = 0.0022;
const HEIGHT = 176;
const AXIS_PX = 48;

export interface ChartProps {
  curves: readonly Curve[];
  song: Song;
  palette: Palette;
  label: string;
  describedBy: string;
  /** Takes the canvas, for pictures of it. */
  onCanvas: (canvas: HTMLCanvasElement | null) => void;
}

/** Draws curves over the visible part of the song. The wheel zooms at the pointer, a drag zooms to a part, a click
 * moves the playhead. */
export function Chart({ curves, song, palette, label, describedBy, onCanvas }: ChartProps) {
  const { engine, onPlayhead, timeline } = song;
  const host = useRef<HTMLDivElement>(null);
  const playhead = useRef<HTMLDivElement>(null);
  const data = useMemo(() => {
    const { timesMs, columns } = align(curves);
    return [timesMs, ...columns] as uPlot.AlignedData;
  }, [curves]);
  const latest = useRef(data);
  const chart = useRef<uPlot | null>(null);
  const shape = curves.map(({ id }) => id).join();

  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const zoom = ({ startMs, endMs }: View): void =>
      changeView(timeline, (_view, durationMs) => zoomToPart(startMs, endMs, durationMs));
    const plot = new uPlot(optionsOf(curves, palette, element.clientWidth, (ms) => engine.seek(ms), zoom), latest.current, element);
    chart.current = plot;
    onCanvas(plot.ctx.canvas);
    plot.ctx.canvas.setAttribute("aria-hidden", "true");
    const show = ({ startMs, endMs }: View): void => plot.setScale("x", { min: startMs, max: endMs });
    const mark = (ms: number): void => {
      if (playhead.current === null) return;
      // The box of the plot is known without asking the page for its layout, which each frame would pay for. The chart
      // takes a new view a moment later, so the view itself says where the playhead is.
      const [left, width] = [plot.bbox.left / uPlot.pxRatio, plot.bbox.width / uPlot.pxRatio];
      const at = timeToX(timeline.view.get(), width, ms);
      playhead.current.style.visibility = at < 0 || at > width ? "hidden" : "visible";
      playhead.current.style.transform = `translateX(${left + at}px)`;
    };
    const follow = (): void => {
      show(timeline.view.get());
      mark(engine.positionMs());
    };
    const turn = (event: WheelEvent): void => {
      event.preventDefault();
      const box = plot.over.getBoundingClientRect();
      const x = event.clientX - box.left;
      const isPan = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      changeView(timeline, (view, durationMs) =>
        isPan
          ? panBy(view, ((event.deltaX || event.deltaY) / box.width) * spanOf(view), durationMs)
          : zoomAt(view, Math.exp(-event.deltaY * WHEEL_ZOOM), xToTime(view, box.width, x), durationMs),
      );
    };
    plot.over.addEventListener("wheel", turn, { passive: false });
    const observer = new ResizeObserver(() => {
      plot.setSize({ width: element.clientWidth, height: HEIGHT });
      mark(engine.positionMs());
    });
    observer.observe(element);
    follow();
    const stops = [timeline.view.subscribe(follow), onPlayhead(mark)];
    return () => {
      stops.forEach((stop) => stop());
      observer.disconnect();
      plot.destroy();
      chart.current = null;
      onCanvas(null);
    };
    // `shape` stands for the curves: other values are drawn by the effect below, only other curves need another chart.
  }, [shape, palette, engine, onPlayhead, timeline, onCanvas]);

  useEffect(() => {
    latest.current = data;
    chart.current?.setData(data, false);
    const { startMs, endMs } = timeline.view.get();
    chart.current?.setScale("x", { min: startMs, max: endMs });
  }, [data, timeline]);

  return (
    <div className="relative min-h-52" role="img" aria-label={label} aria-describedby={describedBy}>
      <div ref={host} />
      <div ref={playhead} aria-hidden="true" className="pointer-events-none absolute top-0 left-0 h-[148px] w-px bg-danger" />
    </div>
  );
}

const COLOURS = ["accent", "ok", "warn", "danger"] as const;

function optionsOf(
  curves: readonly Curve[],
  palette: Palette,
  width: number,
  onSeek: (ms: number) => void,
  onView: (view: View) => void,
): uPlot.Options {
  const scales = [...new Set(curves.map(({ scale }) => scale))];
  const line = { stroke: withAlpha(palette.line, 0.5), width: 1 };
  const axis = { stroke: palette.muted, font: `11px ${palette.font}`, grid: line, ticks: { ...line, size: 4 } };
  return {
    width,
    height: HEIGHT,
    legend: { live: true, markers: { width: 2 } },
    cursor: {
      drag: { x: true, y: false, setScale: false, dist: 5 },
      points: { size: 6 },
      bind: { dblclick: () => () => null },
    },
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width: wide } = plot.select;
          if (wide < 5) return;
          onView({ startMs: plot.posToVal(left, "x"), endMs: plot.posToVal(left + wide, "x") });
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      ready: [
        (plot) => {
          let downX = 0;
          plot.over.addEventListener("pointerdown", (event) => (downX = event.clientX));
          plot.over.addEventListener("click", (event) => {
            if (Math.abs(event.clientX - downX) < 4) onSeek(plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x"));
          });
        },
      ],
    },
    scales: {
      x: { time: false },
      share: { range: [0, 1] },
      lufs: { range: (_plot, low, high) => [Math.floor(Math.max(low ?? -60, -60) / 6) * 6, Math.min(0, Math.ceil((high ?? 0) / 6) * 6)] },
      hz: { range: (_plot, _low, high) => [0, Math.max(1000, high ?? 1000)] },
    },
    axes: [
      { ...axis, space: 80, size: 28, values: (_plot, splits) => splits.map((ms) => formatClock(ms, (splits[1] ?? 1000) - (splits[0] ?? 0))) },
      ...scales.map((scale, index): uPlot.Axis => ({
        ...axis,
        scale,
        side: index === 0 ? 3 : 1,
        size: AXIS_PX,
        space: 34,
        grid: index === 0 ? line : { show: false },
        values: (_plot, splits) => splits.map((value) => shortValue(scale, value)),
      })),
      ...(scales.length === 1 ? [{ ...axis, scale: scales[0] ?? "share", side: 1 as const, size: AXIS_PX, values: () => [], grid: { show: false } }] : []),
    ],
    series: [
      { label: t.time, value: (_plot, ms) => (ms == null ? "–" : formatClock(ms, 100)) },
      ...curves.map(({ id, scale }, index): uPlot.Series => ({
        label: t.series[id],
        scale,
        stroke: palette[COLOURS[index % COLOURS.length] ?? "accent"],
        width: 1.25,
        spanGaps: true,
        points: { show: false },
        value: (_plot, value) => (value == null ? "–" : formatValue(scale, value)),
      })),
    ],
  };
}

function shortValue(scale: Scale, value: number): string {
  if (scale === "hz") return value === 0 ? "0" : `${value / 1000} k`;
  return String(Math.round(value * 100) / 100);
}
