// @vitest-environment node
import { describe, expect, it } from "vitest";
import type { Schemas } from "../../api/types";
import { deltaOf, metricsOf } from "./metrics";
import { riskOf } from "./RiskStrip";
import { originOf } from "./version";

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

describe("the origin of a version", () => {
  const summary = (reference: "override" | "consensus") => ({ bpm: 120, f_measure: 1, f_measure_reference: reference }) as Schemas["AnalysisSummary"];
  const same = { nodes_added: 0, nodes_removed: 0, nodes_changed: 0, edges_added: 0, edges_removed: 0 };
  const edit = (beats: number, graph: Partial<typeof same> = {}) => ({ previous_version: 1, beats: { moved: beats, added: beats && 2, removed: 0 }, graph: { ...same, ...graph } });

  it("is the analysis, or what a person changed in beats and graph", () => {
    expect(originOf({ job_id: "job_1", summary: summary("consensus") })).toBe("Analysis");
    expect(originOf({ summary: summary("override"), edit: edit(12) })).toBe("12 beats moved, 2 added");
    expect(originOf({ summary: summary("consensus"), edit: edit(0, { nodes_changed: 3, edges_added: 1 }) })).toBe("3 nodes changed, 1 edge added");
    expect(originOf({ summary: summary("override"), edit: edit(1, { nodes_added: 1, nodes_removed: 2 }) })).toBe("1 beat moved, 2 added, 1 node added, 2 removed");
  });

  it("names versions without a counted change", () => {
    expect(originOf({ summary: summary("override"), edit: edit(0) })).toBe("Bars changed");
    expect(originOf({ summary: summary("consensus"), edit: edit(0) })).toBe("Beats of the analysis");
    expect(originOf({ summary: summary("override") })).toBe("Beats edited");
  });
});
