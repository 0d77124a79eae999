/** Says what a parameter may be, and moves between its value and the place of a slider. Pure. */
import type { NodeParam, Value } from "./document";

export interface Range {
  readonly min: number;
  readonly max: number;
  /** Whether the slider moves by factors, because the range spans several powers of ten. */
  readonly isLogarithmic: boolean;
}

/** Ranges wider than this are no range to slide in. */
const WIDEST = 20_000;
const LOG_FACTOR = 500;

/** Return the range of a slider; null where the parameter has no range to slide in. */
export function rangeOf({ kind, min, max }: NodeParam): Range | null {
  if ((kind !== "float" && kind !== "int") || min == null || max == null || max - min > WIDEST) return null;
  return { min, max, isLogarithmic: min > 0 && max / min >= LOG_FACTOR };
}

/** Return the place of a value on a slider from 0 to 1. */
export function toPlace({ min, max, isLogarithmic }: Range, value: number): number {
  const place = isLogarithmic ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
  return Math.min(Math.max(place, 0), 1);
}

/** Return the value at a place of a slider, rounded to what a person can tell apart. */
export function fromPlace(range: Range, place: number, isWhole: boolean): number {
  const { min, max, isLogarithmic } = range;
  const value = isLogarithmic ? min * (max / min) ** place : min + (max - min) * place;
  const step = isWhole ? 1 : 10 ** (Math.floor(Math.log10(Math.max(isLogarithmic ? value : max - min, 1e-9))) - 2);
  return Math.min(Math.max(Number((Math.round(value / step) * step).toPrecision(6)), min), max);
}

/** Return the number that a person typed; null where the parameter may not be that. */
export function parseNumber({ kind, min, max }: NodeParam, text: string): number | null {
  const value = Number(text.trim().replace(",", "."));
  if (text.trim() === "" || !Number.isFinite(value)) return null;
  if (kind === "int" && !Number.isInteger(value)) return null;
  return (min != null && value < min) || (max != null && value > max) ? null : value;
}

/** Return the whole numbers of a list that a person typed; null where the parameter may not be that. */
export function parseNumbers(param: NodeParam, text: string): number[] | null {
  const parts = text.split(/[\s,;]+/).filter((part) => part !== "");
  const numbers = parts.map((part) => parseNumber({ ...param, kind: "int" }, part));
  if (numbers.length < param.min_items || numbers.length > param.max_items) return null;
  return numbers.every((each) => each !== null) ? numbers : null;
}

/** Return a colour as a browser's colour field has it. */
export function toHex(value: Value): string {
  const channels = Array.isArray(value) ? (value as unknown[]) : [];
  return `#${[0, 1, 2].map((at) => byteOf(channels[at]).toString(16).padStart(2, "0")).join("")}`;
}

/** Return a colour as the graph has it: red, green, blue, each 0..1. */
export function fromHex(hex: string): number[] {
  return [1, 3, 5].map((at) => Math.round((parseInt(hex.slice(at, at + 2), 16) / 255) * 10_000) / 10_000);
}

/** Return a value as a person reads it. */
export function showValue(value: Value): string {
  if (typeof value === "number") return String(Math.round(value * 10_000) / 10_000);
  if (Array.isArray(value)) return Array.isArray(value[0]) ? value.map(toHex).join(" ") : value.map(showValue).join(" ");
  return value == null ? "" : String(value);
}

function byteOf(channel: unknown): number {
  return typeof channel === "number" ? Math.round(Math.min(Math.max(channel, 0), 1) * 255) : 0;
}
