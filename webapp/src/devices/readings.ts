import type { Schemas } from "../api/types";

type Sample = Schemas["LiveSample"];
export const VALUES = ["drift_ms", "cpu_pct", "temp_c", "fps"] as const;
export type ValueName = (typeof VALUES)[number];

/** How far back readings are kept: a minute at ten a second. History is another matter. */
export const KEPT_MS = 60_000;
const MOST = 700;

export interface ReadingLine {
  /** Milliseconds since 1970. */
  times: readonly number[];
  values: Readonly<Record<ValueName, readonly number[]>>;
  latest: Sample;
}

/** Returns the readings of a device with one more; old ones leave, late ones and repetitions do not come in. */
export function addReading(line: ReadingLine | undefined, sample: Sample): ReadingLine {
  const time = Date.parse(sample.timestamp);
  const last = line?.times.at(-1);
  if (line && last !== undefined && time <= last) return line;
  const times = line ? [...line.times, time] : [time];
  const first = Math.max(times.length - MOST, times.findIndex((each) => each >= time - KEPT_MS));
  const add = (name: ValueName) => (line ? [...line.values[name], sample[name]] : [sample[name]]).slice(first);
  return { times: times.slice(first), values: { drift_ms: add("drift_ms"), cpu_pct: add("cpu_pct"), temp_c: add("temp_c"), fps: add("fps") }, latest: sample };
}

/** Returns the least and the greatest value. */
export function rangeOf(values: readonly number[]): readonly [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return [least, most];
}

export type Level = "ok" | "warn" | "danger";

/** Returns how a value is to be seen: red where the telemetry service raises its highest alarm. */
export function levelOf(name: ValueName, value: number): Level {
  const size = Math.abs(value);
  if (name === "drift_ms") return size > 100 ? "danger" : size > 20 ? "warn" : "ok";
  if (name === "cpu_pct") return size > 95 ? "danger" : size > 80 ? "warn" : "ok";
  if (name === "temp_c") return size > 80 ? "danger" : size > 75 ? "warn" : "ok";
  return size < 24 ? "danger" : size < 30 ? "warn" : "ok";
}
