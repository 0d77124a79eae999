/** Says what the cards of the metrics show. Pure. */
import type { Schemas } from "../../api/types";
import { texts } from "../../texts";
import { track as trackTexts } from "../../texts/track/track";

const t = trackTexts.metrics;
const REVIEW_BELOW = 0.8;

export interface Metric {
  readonly id: string;
  readonly label: string;
  readonly value: string;
  readonly unit: string;
  /** Where the figure comes from. */
  readonly source: string;
  readonly delta: string;
  readonly isLow: boolean;
}

type Comparison = Schemas["VersionComparison"];
type Reference = Schemas["GlobalMetrics"]["f_measure_reference"];

/** Return the cards of a version; `comparison` is with the version before. */
export function metricsOf(
  metrics: Schemas["JsonObject"] | null | undefined,
  bundleBytes: number | null,
  comparison: Comparison | undefined,
): Metric[] {
  if (!metrics) return [];
  const number = (name: string): number | null => {
    const value = metrics[name];
    return typeof value === "number" ? value : null;
  };
  const text = (name: string): string => {
    const value = metrics[name];
    return typeof value === "string" ? value : "";
  };
  const reference = text("f_measure_reference") as Reference;
  const card = (id: string, label: string, name: string, digits: number, unit: string, source: string): Metric => ({
    id,
    label,
    value: number(name)?.toFixed(digits).replace("-", "−") ?? texts.common.noValue,
    unit: number(name) === null ? "" : unit,
    source,
    delta: deltaOf(comparison, name, digits),
    isLow: false,
  });
  const fMeasure = card("f", t.fMeasure, "f_measure", 2, "", t.sources.fMeasure[reference] ?? "");
  const isLow = reference !== "override" && (number("f_measure") ?? 1) < REVIEW_BELOW;
  const key = [text("key"), text("scale")].filter((part) => part !== "").join(" ");
  return [
    { ...fMeasure, unit: t.references[reference] ?? "", isLow },
    card("cemgil", t.cemgil, "cemgil", 2, "", t.sources.cemgil),
    card("tempo", t.tempo, "bpm", 2, "BPM", t.sources.tempo),
    card("stability", t.stability, "tempo_stability", 2, "", t.sources.stability),
    { ...card("meter", t.meter, "time_signature", 0, "", t.sources.meter), value: text("time_signature") || texts.common.noValue },
    { ...card("key", t.key, "key_strength", 2, "", t.sources.key), value: key || texts.common.noValue, delta: "" },
    card("loudness", t.loudness, "integrated_lufs", 1, "LUFS", t.sources.loudness),
    card("range", t.dynamicRange, "dynamic_range", 1, "dB", t.sources.dynamicRange),
    ...(bundleBytes === null ? [] : [sizeCard(bundleBytes)]),
  ];
}

function sizeCard(bytes: number): Metric {
  const value = (bytes / 1000).toFixed(1);
  return { id: "size", label: t.size, value, unit: "kB", source: t.sources.size, delta: "", isLow: false };
}

/** Return a difference as a person reads it: with its sign, empty where nothing differs. */
export function deltaOf(comparison: Comparison | undefined, name: string, digits: number): string {
  const delta = comparison?.metrics.find((each) => each.name === name)?.delta;
  if (typeof delta !== "number" || Math.abs(delta) < 0.5 * 10 ** -digits) return "";
  return `${delta > 0 ? "+" : "−"}${Math.abs(delta).toFixed(digits)}`;
}
