import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "../../track/charts/chart.css";
import { telemetryTexts as t } from "../../texts/fleet/telemetry";
import { withAlpha, type Palette } from "../../track/beats/canvas/paint/palette";
import { formatInstant, formatShort, toColumns, type FieldSeries } from "./series";

const HEIGHT = 132;
const AXIS_PX = 48;
const NARROW = "(max-width: 767px)";

export interface TimeChartProps {
  series: FieldSeries;
  stepS: number | null | undefined;
  /** The window, milliseconds since 1970. */
  startMs: number;
  endMs: number;
  palette: Palette;
  label: string;
  describedBy: string;
}

/** Draws the average of a value over time, with the range around it. */
export function TimeChart({ series, stepS, startMs, endMs, palette, label, describedBy }: TimeChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const data = useMemo(() => toColumns(series, stepS) as uPlot.AlignedData, [series, stepS]);
  const latest = useRef({ data, startMs, endMs });
  latest.current = { data, startMs, endMs };

  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const plot = new uPlot(optionsOf(palette, element.clientWidth), latest.current.data, element);
    plot.ctx.canvas.setAttribute("aria-hidden", "true");
    plot.setScale("x", { min: latest.current.startMs / 1000, max: latest.current.endMs / 1000 });
    chart.current = plot;
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
      chart.current = null;
    };
  }, [palette]);

  useEffect(() => {
    chart.current?.setData(data, false);
    chart.current?.setScale("x", { min: startMs / 1000, max: endMs / 1000 });
  }, [data, startMs, endMs]);

  return <div ref={host} role="img" aria-label={label} aria-describedby={describedBy} className="min-h-34 md:min-h-40" />;
}

function optionsOf(palette: Palette, width: number): uPlot.Options {
  const line = { stroke: withAlpha(palette.line, 0.5), width: 1 };
  const axis: uPlot.Axis = { stroke: palette.muted, font: `11px ${palette.font}`, grid: line, ticks: { ...line, size: 4 } };
  const value = (_plot: uPlot, number: number | null): string => (number == null ? "–" : String(Math.round(number * 10) / 10));
  const bound = (label: string): uPlot.Series => ({ label, stroke: withAlpha(palette.accent, 0.25), width: 1, points: { show: false }, value });
  return {
    width,
    height: HEIGHT,
    // A finger hovers over nothing, and the summary below says the rest.
    legend: { show: !matchMedia(NARROW).matches, live: true, markers: { width: 2 } },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    axes: [
      { ...axis, space: 80, size: 28, values: (_plot, splits) => splits.map((seconds) => formatInstant(seconds, (splits[1] ?? 0) - (splits[0] ?? 0))) },
      { ...axis, size: AXIS_PX, space: 30, values: (_plot, splits) => splits.map(formatShort) },
    ],
    bands: [{ series: [3, 2], fill: withAlpha(palette.accent, 0.16) }],
    series: [
      { label: t.time, value: (_plot, seconds) => (seconds == null ? "–" : formatInstant(seconds, 1)) },
      { label: t.average, stroke: palette.accent, width: 1.25, points: { show: false }, value },
      bound(t.lowest),
      bound(t.highest),
    ],
  };
}
