// @vitest-environment node
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { spanOf } from "../beats/canvas/view";
import { partOf } from "./buckets";
import { align, pathOf, summarise, toCsv, type Curve } from "./curves";

const curve = (id: Curve["id"], timesMs: number[], values: number[]): Curve => ({ id, scale: "share", path: `$.layers.frequency.${id}`, timesMs, values });
const bass = curve("bass", [0, 100, 200, 300], [0, 0.5, 1, 0.25]);
const mids = curve("mids", [0, 150, 300], [0.1, 0.2, 0.3]);

describe("the part to fetch", () => {
  const views = fc
    .record({ durationMs: fc.double({ min: 1000, max: 7_200_000, noNaN: true }), at: fc.double({ min: 0, max: 1, noNaN: true }), share: fc.double({ min: 0.001, max: 1, noNaN: true }) })
    .map(({ durationMs, at, share }) => {
      const span = Math.max(250, share * durationMs);
      const startMs = at * (durationMs - span);
      return { durationMs, view: { startMs, endMs: startMs + span } };
    });

  it("holds the view whole and is at most four times as long, or 10 s", () => {
    fc.assert(
      fc.property(views, ({ view, durationMs }) => {
        const part = partOf(view, durationMs);
        expect(part.startMs).toBeLessThanOrEqual(view.startMs + 1e-6);
        expect(part.endMs).toBeGreaterThanOrEqual(view.endMs - 1e-6);
        expect(spanOf(part)).toBeLessThanOrEqual(Math.max(10_000, 4 * spanOf(view)) + 1e-6);
      }),
    );
  });

  it("stays the same while the view moves a little", () => {
    expect(partOf({ startMs: 41_000, endMs: 50_000 }, 200_000)).toEqual(partOf({ startMs: 43_000, endMs: 52_000 }, 200_000));
  });
});

it("aligns curves with gaps where one has no point", () => {
  expect(align([bass, mids])).toEqual({
    timesMs: [0, 100, 150, 200, 300],
    columns: [
      [0, 0.5, null, 1, 0.25],
      [0.1, null, 0.2, null, 0.3],
    ],
  });
});

it("writes the visible part as CSV", () => {
  expect(toCsv([bass, mids], { startMs: 100, endMs: 200 })).toBe("time_ms,bass,mids\n100,0.5,\n150,,0.2\n200,1,\n");
});

it("names the visible points by JSONPath", () => {
  expect(pathOf(bass, { startMs: 0, endMs: 300 }, 300)).toBe("$.layers.frequency.bass");
  expect(pathOf(bass, { startMs: 99.6, endMs: 200 }, 300)).toBe("$.layers.frequency.bass[?@.time_ms >= 100 && @.time_ms <= 200]");
});

it("says in words what the visible part shows", () => {
  expect(summarise([bass], { startMs: 100, endMs: 300 })).toBe("0:00 to 0:00. Bass: 0.25 to 1.00, on average 0.58, highest at 0:00.");
  expect(summarise([bass], { startMs: 900, endMs: 950 })).toBe("Nothing was measured here.");
});
