/** Turns layers of a map into curves for charts, and curves into tables and summaries. Pure. */
import type { Schemas } from "../../api/types";
import { formatClock } from "../clock";
import type { View } from "../beats/canvas/view";
import { track as trackTexts } from "../../texts/track/track";

const t = trackTexts.charts;

export type CurveId = keyof typeof t.series;
export type ChartId = "bands" | "dynamics" | "spectral";
/** The axis of a curve: shares from 0 to 1, loudness, or frequencies. */
export type Scale = "share" | "lufs" | "hz";

export interface Curve {
  readonly id: CurveId;
  readonly scale: Scale;
  /** Where the curve is in the map, as JSONPath. */
  readonly path: string;
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
}

/** Return the curves of a chart. The API sends at most as many points of each as were asked for, extremes included. */
export function curvesOf(chart: ChartId, { frequency, dynamics, spectral }: Schemas["GenesisView"]["layers"]): Curve[] {
  const curve = <Point extends { time_ms: number }>(
    id: CurveId,
    scale: Scale,
    layer: string,
    points: readonly Point[],
    value: (point: Point) => number,
  ): Curve => ({
    id,
    scale,
    path: `$.layers.${layer}.${id}`,
    timesMs: points.map(({ time_ms }) => time_ms),
    values: points.map(value),
  });
  if (chart === "bands" && frequency) {
    return (["bass", "mids", "highs"] as const).map((id) => curve(id, "share", "frequency", frequency[id], ({ intensity }) => intensity));
  }
  if (chart === "dynamics" && dynamics) {
    return [
      curve("rms", "share", "dynamics", dynamics.rms, ({ intensity }) => intensity),
      curve("loudness_lufs", "lufs", "dynamics", dynamics.loudness_lufs, ({ lufs }) => lufs),
    ];
  }
  if (chart === "spectral" && spectral) {
    const value = ({ value }: { value: number }): number => value;
    return [
      curve("centroid", "hz", "spectral", spectral.centroid, value),
      curve("rolloff", "hz", "spectral", spectral.rolloff, value),
      curve("flux", "share", "spectral", scaleToOne(spectral.flux), value),
      curve("flatness", "share", "spectral", spectral.flatness, value),
    ];
  }
  return [];
}

/** Flux has no unit and no upper bound, so the chart shows it as a share of its highest value. */
function scaleToOne<Point extends { value: number }>(points: readonly Point[]): Point[] {
  const highest = points.reduce((most, { value }) => Math.max(most, value), 0);
  return highest <= 1 ? [...points] : points.map((point) => ({ ...point, value: point.value / highest }));
}

/** Return the points of a curve in a view. */
export function within({ timesMs, values }: Curve, { startMs, endMs }: View): { timesMs: number[]; values: number[] } {
  const kept = timesMs.flatMap((ms, index) => (ms >= startMs && ms <= endMs ? [index] : []));
  return { timesMs: kept.map((index) => timesMs[index] ?? 0), values: kept.map((index) => values[index] ?? 0) };
}

/** Return one table for all curves: a row for each time, with gaps where a curve has no point there. */
export function align(curves: readonly Curve[]): { timesMs: number[]; columns: (number | null)[][] } {
  const timesMs = [...new Set(curves.flatMap((curve) => curve.timesMs))].sort((one, other) => one - other);
  const rows = new Map(timesMs.map((ms, row) => [ms, row]));
  const columns = curves.map((curve) => {
    const column = new Array<number | null>(timesMs.length).fill(null);
    curve.timesMs.forEach((ms, index) => {
      column[rows.get(ms) ?? 0] = curve.values[index] ?? null;
    });
    return column;
  });
  return { timesMs, columns };
}

/** Return the visible part of curves as CSV. */
export function toCsv(curves: readonly Curve[], view: View): string {
  const { timesMs, columns } = align(curves.map((curve) => ({ ...curve, ...within(curve, view) })));
  const rows = timesMs.map((ms, row) => [ms, ...columns.map((column) => column[row] ?? "")].join(","));
  return `${["time_ms", ...curves.map(({ id }) => id)].join(",")}\n${rows.join("\n")}\n`;
}

/** Return the JSONPath of the visible points of a curve in the map. */
export function pathOf({ path }: Curve, { startMs, endMs }: View, durationMs: number): string {
  if (startMs <= 0 && endMs >= durationMs) return path;
  return `${path}[?@.time_ms >= ${Math.round(startMs)} && @.time_ms <= ${Math.round(endMs)}]`;
}

/** Return a value with its unit. */
export function formatValue(scale: Scale, value: number): string {
  if (scale === "lufs") return `${value.toFixed(1)} LUFS`;
  if (scale === "hz") return value >= 1000 ? `${(value / 1000).toFixed(1)} kHz` : `${Math.round(value)} Hz`;
  return value.toFixed(2);
}

/** Return a sentence for each curve about its visible part. */
export function summarise(curves: readonly Curve[], view: View): string {
  const sentences = curves.flatMap((curve) => {
    const { timesMs, values } = within(curve, view);
    if (values.length === 0) return [];
    const highest = values.reduce((best, value, index) => (value > (values[best] ?? 0) ? index : best), 0);
    const lowest = values.reduce((least, value) => Math.min(least, value), Infinity);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const show = (value: number): string => formatValue(curve.scale, value);
    return [t.summary(t.series[curve.id], show(lowest), show(values[highest] ?? 0), show(mean), formatClock(timesMs[highest] ?? 0, 1000))];
  });
  if (sentences.length === 0) return t.empty;
  return [t.range(formatClock(view.startMs, 1000), formatClock(view.endMs, 1000)), ...sentences].join(" ");
}
