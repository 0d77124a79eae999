// @vitest-environment node
import { describe, expect, it } from "vitest";
import { deltaOf, metricsOf } from "./metrics";
import { riskOf } from "./RiskStrip";

const METRICS = { f_measure: 0.7771, f_measure_reference: "consensus", bpm: 168, key: "A", scale: "minor", integrated_lufs: -7.4, time_signature: "4/4" };

function comparison(name: string, delta: number) {
  const none = { tolerance_ms: 70, unchanged: 0, moved: [], added: [], removed: [] };
  return { track_id: "trk", version: 2, with_version: 1, metrics: [{ name, delta }], beats: none, downbeats: none };
}

describe("the metrics", () => {
  const of = (metrics: Parameters<typeof metricsOf>[0], id: string) => metricsOf(metrics, null, undefined).find((metric) => metric.id === id);

  it("warn below 0.80, but not of beats that a person set", () => {
    expect(of(METRICS, "f")).toMatchObject({ value: "0.78", unit: "consensus", isLow: true });
    expect(of({ ...METRICS, f_measure: 0.8 }, "f")).toMatchObject({ isLow: false });
    expect(of({ ...METRICS, f_measure_reference: "override" }, "f")).toMatchObject({ isLow: false });
  });

  it("say where each figure comes from, and show none that is missing", () => {
    expect(metricsOf(METRICS, 34_400, undefined).every(({ source }) => source.length > 10)).toBe(true);
    expect(of(METRICS, "cemgil")).toMatchObject({ value: "–", unit: "" });
    expect(of(METRICS, "loudness")).toMatchObject({ value: "−7.4", unit: "LUFS" });
    expect(of(METRICS, "key")).toMatchObject({ value: "A minor" });
    expect(metricsOf(null, null, undefined)).toEqual([]);
  });

  it("show a difference with its sign as far as its digits show it", () => {
    expect(deltaOf(comparison("bpm", 1.25), "bpm", 2)).toBe("+1.25");
    expect(deltaOf(comparison("bpm", -0.5), "bpm", 1)).toBe("−0.5");
    expect(deltaOf(comparison("bpm", 0.004), "bpm", 2)).toBe("");
    expect(deltaOf(undefined, "bpm", 2)).toBe("");
  });
});

it("finds the risk of a show: amber above 8 ms or 80 % CPU, red above 10 ms", () => {
  expect(riskOf({ est_ms: 8, cpu_pct: 80 })).toBe("ok");
  expect(riskOf({ est_ms: 8.1, cpu_pct: 10 })).toBe("warn");
  expect(riskOf({ est_ms: 1, cpu_pct: 81 })).toBe("warn");
  expect(riskOf({ est_ms: 10.1, cpu_pct: 10 })).toBe("danger");
});
