import { describe, expect, it } from "vitest";
import { formatInstant, formatShort, rangeOfSeries, toColumns, type FieldSeries } from "./series";

const series = (times_ms: number[], avg: number[]): FieldSeries => ({
  field: "drift_ms",
  times_ms,
  avg,
  min: avg.map((value) => value - 1),
  max: avg.map((value) => value + 1),
});

describe("the points of a chart", () => {
  it("are times in seconds, with the average between the bounds", () => {
    expect(toColumns(series([1000, 2000], [5, 6]), 1)).toEqual([[1, 2], [5, 6], [4, 5], [6, 7]]);
  });

  it("have a gap where the device was silent, and none where points were left out evenly", () => {
    const [times, averages] = toColumns(series([1000, 2000, 3000, 60_000, 61_000], [1, 2, 3, 4, 5]), 1);
    expect(times).toEqual([1, 2, 3, 31.5, 60, 61]);
    expect(averages).toEqual([1, 2, 3, null, 4, 5]);
    expect(toColumns(series([0, 1000, 2000, 5000, 6000], [1, 2, 3, 4, 5]), 1)[1]).toEqual([1, 2, 3, 4, 5]);
    expect(toColumns(series([0, 9000, 20_000, 30_000], [1, 2, 3, 4]), 1)[1]).toEqual([1, 2, 3, 4]);
  });

  it("have a range, and none without points", () => {
    expect(rangeOfSeries(series([0, 1], [2, 4]))).toEqual({ least: 1, mean: 3, most: 5 });
    expect(rangeOfSeries(series([], []))).toBeUndefined();
  });

  it("have short labels", () => {
    const seconds = new Date(2026, 4, 1, 9, 5, 7).getTime() / 1000;
    expect([formatInstant(seconds, 1), formatInstant(seconds, 300)]).toEqual(["09:05:07", "09:05"]);
    expect(formatInstant(seconds, 86_400)).toContain("1");
    expect([190_000, -12_345, 9_999, 0.25].map(formatShort)).toEqual(["190 k", "-12.3 k", "9999", "0.3"]);
  });
});
