import type { Schemas } from "../../api/types";

export type FieldSeries = Schemas["FieldSeries"];
type Column = (number | null)[];

/** A pause longer than so many steps is a gap in the line. LTTB leaves pauses of up to three steps between points that stay. */
const GAP_STEPS = 3.5;
/** Single readings come once a second at least. */
const READING_STEP_MS = 1500;

/** Returns times in seconds, and the average, least and greatest values, with a gap wherever readings are missing. */
export function toColumns({ times_ms, avg, min, max }: FieldSeries, stepS: number | null | undefined): [number[], Column, Column, Column] {
  // LTTB leaves points out, so a pause between two that stay is longer than a step where many were left out.
  const kept = medianPause(times_ms);
  const gapMs = GAP_STEPS * Math.max(stepS == null ? READING_STEP_MS : stepS * 1000, kept);
  const [times, averages, least, most]: [number[], Column, Column, Column] = [[], [], [], []];
  times_ms.forEach((time, index) => {
    const before = times_ms[index - 1];
    if (before !== undefined && time - before > gapMs) {
      times.push((before + time) / 2000);
      for (const column of [averages, least, most]) column.push(null);
    }
    times.push(time / 1000);
    averages.push(avg[index] ?? null);
    least.push(min[index] ?? null);
    most.push(max[index] ?? null);
  });
  return [times, averages, least, most];
}

function medianPause(times: readonly number[]): number {
  const pauses = times.slice(1).map((time, index) => time - (times[index] ?? time)).sort((one, other) => one - other);
  return pauses[Math.floor(pauses.length / 2)] ?? 0;
}

/** Returns the least, mean and greatest value of a series; undefined where it has no points. */
export function rangeOfSeries({ avg, min, max }: FieldSeries): { least: number; mean: number; most: number } | undefined {
  if (avg.length === 0) return undefined;
  return {
    least: min.reduce((best, value) => Math.min(best, value), Number.POSITIVE_INFINITY),
    mean: avg.reduce((sum, value) => sum + value, 0) / avg.length,
    most: max.reduce((best, value) => Math.max(best, value), Number.NEGATIVE_INFINITY),
  };
}

/** Returns a time in seconds since 1970 as a clock shows it, with what the distance to the next one needs. */
export function formatInstant(seconds: number, stepS: number): string {
  const time = new Date(1000 * seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (stepS >= 86_400) return time.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  return `${two(time.getHours())}:${two(time.getMinutes())}${stepS < 60 ? `:${two(time.getSeconds())}` : ""}`;
}

/** Returns a number for an axis: `190 k` for 190,000. */
export function formatShort(value: number): string {
  return Math.abs(value) >= 10_000 ? `${Math.round(value / 100) / 10} k` : String(Math.round(value * 10) / 10);
}
