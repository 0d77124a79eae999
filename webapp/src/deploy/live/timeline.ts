import type { Schemas } from "../../api/types";

type View = Schemas["DeploymentView"];

/** A step of a device as a bar: where it begins and how long it is, in shares of the width. */
export interface Bar {
  key: string;
  step: Schemas["StepName"];
  status: Schemas["StepView"]["status"];
  left: number;
  width: number;
  took_ms: number;
}

export interface TimelineRow {
  deviceId: string;
  batch: number | null;
  bars: Bar[];
}

export interface Timeline {
  start_ms: number;
  span_ms: number;
  rows: TimelineRow[];
  /** Marks of the time axis, in milliseconds after the start. */
  ticks: number[];
}

const LEAST_SPAN_MS = 1_000;
const TICK_STEPS_S = [0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400];
const MOST_TICKS = 8;

/** Lays the steps of all devices out over the time of a deployment. What runs ends now. */
export function layOutTimeline(view: View, now: number): Timeline {
  const start_ms = Date.parse(view.created_at);
  const ends = view.devices.flatMap(({ steps }) => steps.map(({ ended_at }) => (ended_at ? Date.parse(ended_at) : now)));
  const end = ends.reduce((latest, each) => Math.max(latest, each), start_ms + LEAST_SPAN_MS);
  const span_ms = end - start_ms;
  const rows = view.devices.map(({ device_id, batch, steps }) => ({
    deviceId: device_id,
    batch: batch ?? null,
    bars: steps.map((step): Bar => {
      const from = Math.max(start_ms, Date.parse(step.started_at));
      const until = Math.max(from, step.ended_at ? Date.parse(step.ended_at) : now);
      return { key: `${step.step}-${step.started_at}-${step.attempt}`, step: step.step, status: step.status, left: (from - start_ms) / span_ms, width: (until - from) / span_ms, took_ms: until - from };
    }),
  }));
  return { start_ms, span_ms, rows, ticks: ticksOf(span_ms) };
}

/** Returns round times, at most eight. */
export function ticksOf(span_ms: number): number[] {
  const step_ms = 1000 * (TICK_STEPS_S.find((seconds) => span_ms / (1000 * seconds) <= MOST_TICKS) ?? 86_400);
  return Array.from({ length: Math.floor(span_ms / step_ms) + 1 }, (_, index) => index * step_ms);
}
