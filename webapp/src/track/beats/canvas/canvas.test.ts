// @vitest-environment node
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { steadyGrid } from "../model/testing";
import { beatUnder, idsBetween } from "./hit";
import { findOnset } from "./onset";
import { buildPeaks, createColumns, decodePeaks, fillColumns, fillFromSamples } from "./paint/peaks";
import { fitView, follow, MIN_SPAN_MS, pinchView, reveal, rulerStep, spanOf, timeToX, turnPage, xToTime, zoomAt, zoomToPart } from "./view";

const durations = fc.double({ min: 1000, max: 3_600_000, noNaN: true });
const shares = fc.double({ min: 0, max: 1, noNaN: true });
const views = fc.tuple(durations, shares, shares).map(([durationMs, start, length]) => {
  const span = MIN_SPAN_MS + length * (durationMs - MIN_SPAN_MS);
  const startMs = start * (durationMs - span);
  return { durationMs, view: { startMs, endMs: startMs + span } };
});

describe("a view", () => {
  it("turns like a page: it stays while it shows the playhead, and else shows it near its beginning", () => {
    fc.assert(
      fc.property(views, shares, ({ view, durationMs }, share) => {
        const ms = share * durationMs;
        const turned = turnPage(view, ms, durationMs);
        if (ms >= view.startMs && ms <= view.endMs) expect(turned).toBe(view);
        expect(ms).toBeGreaterThanOrEqual(turned.startMs - 1e-6);
        expect(ms).toBeLessThanOrEqual(turned.endMs + 1e-6);
        expect(spanOf(turned)).toBeCloseTo(spanOf(view), 6);
      }),
    );
  });

  it("maps pixels to times and back", () => {
    fc.assert(
      fc.property(views, fc.integer({ min: 1, max: 4000 }), shares, ({ view }, width, share) => {
        const x = share * width;
        expect(timeToX(view, width, xToTime(view, width, x))).toBeCloseTo(x, 3);
      }),
    );
  });

  it("keeps the time under the pointer in its place, unless the end of the song is in the way", () => {
    fc.assert(
      fc.property(views, shares, fc.double({ min: 0.05, max: 20, noNaN: true }), ({ view, durationMs }, share, factor) => {
        const ms = xToTime(view, 1000, share * 1000);
        const zoomed = zoomAt(view, factor, ms, durationMs);
        expect(zoomed.startMs).toBeGreaterThanOrEqual(0);
        expect(zoomed.endMs).toBeLessThanOrEqual(durationMs + 1e-6);
        expect(spanOf(zoomed)).toBeGreaterThanOrEqual(MIN_SPAN_MS - 1e-6);
        const isFree = zoomed.startMs > 1e-6 && zoomed.endMs < durationMs - 1e-6;
        if (isFree) expect(timeToX(zoomed, 1000, ms)).toBeCloseTo(share * 1000, 2);
      }),
    );
  });

  it("keeps the time between two fingers between them as they spread and move", () => {
    const fingers = fc.record({ x: fc.double({ min: 0, max: 1000, noNaN: true }), distance: fc.double({ min: 16, max: 1000, noNaN: true }) });
    fc.assert(
      fc.property(views, fingers, fingers, ({ view, durationMs }, from, to) => {
        const ms = xToTime(view, 1000, from.x);
        const pinched = pinchView(view, from, to, 1000, durationMs);
        expect(pinched.startMs).toBeGreaterThanOrEqual(0);
        expect(pinched.endMs).toBeLessThanOrEqual(durationMs + 1e-6);
        const span = spanOf(view) * (from.distance / to.distance);
        const isFree = pinched.startMs > 1e-6 && pinched.endMs < durationMs - 1e-6 && span > MIN_SPAN_MS && span < durationMs;
        if (!isFree) return;
        expect(spanOf(pinched)).toBeCloseTo(span, 3);
        // At an end of the song the zoom alone may have moved the time.
        const zoomed = zoomAt(view, to.distance / from.distance, ms, durationMs);
        if (zoomed.startMs > 1e-6 && zoomed.endMs < durationMs - 1e-6) expect(timeToX(pinched, 1000, ms)).toBeCloseTo(to.x, 1);
      }),
    );
  });

  it("is not zoomed by fingers that lie on each other", () => {
    const view = { startMs: 10_000, endMs: 20_000 };
    expect(pinchView(view, { x: 500, distance: 0 }, { x: 500, distance: 10 }, 1000, 60_000)).toEqual(view);
  });

  it("fits, shows a part, follows and reveals", () => {
    expect(fitView(60_000)).toEqual({ startMs: 0, endMs: 60_000 });
    expect(zoomToPart(10_000, 20_000, 60_000)).toEqual({ startMs: 9500, endMs: 20_500 });
    const view = { startMs: 10_000, endMs: 20_000 };
    expect(follow(view, 30_000, 60_000)).toEqual({ startMs: 26_500, endMs: 36_500 });
    expect(reveal(view, 15_000, 60_000)).toBe(view);
    expect(reveal(view, 30_000, 60_000)).toEqual({ startMs: 20_500, endMs: 30_500 });
    expect(rulerStep(view, 1000, 80)).toBe(1000);
  });
});

/** Return a file with one peak for each pair. */
function peakFile(pairs: readonly (readonly [number, number])[]): ArrayBuffer {
  const file = new ArrayBuffer(24 + 2 * pairs.length);
  const head = new DataView(file);
  [2, 1, 1000, 10, pairs.length, 1].forEach((value, index) => head.setInt32(4 * index, value, true));
  pairs.forEach(([low, high], index) => {
    head.setInt8(24 + 2 * index, low);
    head.setInt8(25 + 2 * index, high);
  });
  return file;
}

describe("peaks", () => {
  it("are read, and refused where the file is damaged", () => {
    const peaks = decodePeaks(peakFile([[-128, 127], [-64, 64]]));
    expect(peaks.durationMs).toBe(20);
    expect(() => decodePeaks(peakFile([[0, 0]]).slice(0, 25))).toThrow(RangeError);
    expect(() => decodePeaks(new ArrayBuffer(30))).toThrow(RangeError);
  });

  it("show the loudest sample of a column at any zoom", () => {
    fc.assert(
      fc.property(fc.nat(4999), fc.double({ min: 1, max: 300, noNaN: true }), (loud, msPerColumn) => {
        const max = new Int8Array(5000);
        max[loud] = 100;
        const peaks = buildPeaks({ min: new Int8Array(5000), max, msPerPeak: 1 });
        const columns = Math.ceil(5000 / msPerColumn);
        const filled = createColumns(columns);
        fillColumns(peaks, 0, msPerColumn, filled);
        expect(filled.high[Math.min(columns - 1, Math.floor(loud / msPerColumn))]).toBeCloseTo(100 / 128, 5);
      }),
    );
  });

  it("come from decoded audio at a close zoom", () => {
    const samples = new Float32Array(4000);
    samples[1234] = -0.5;
    const { low, high, ...means } = createColumns(10);
    fillFromSamples({ channels: [samples], sampleRate: 1000 }, 1230, 1, { low, high, ...means });
    expect([...low]).toEqual([0, 0, 0, -0.5, -0.5, 0, 0, 0, 0, 0]);
    fillFromSamples({ channels: [samples], sampleRate: 1000 }, 3995, 1, { low, high, ...means });
    expect([...high]).toEqual(Array(10).fill(0));
  });
});

describe("an onset", () => {
  const rate = 44_100;
  const samples = new Float32Array(rate * 2);
  for (let at = rate; at < rate * 1.2; at += 1) samples[at] = 0.6 * Math.sin(at * 0.3) * Math.exp(-(at - rate) / 3000);
  for (let at = 0; at < samples.length; at += 1) samples[at] = (samples[at] ?? 0) + 0.05 * Math.sin(at * 0.01);

  it("is found within a few milliseconds", () => {
    expect(Math.abs((findOnset([samples], rate, 1035) ?? 0) - 1000)).toBeLessThan(4);
    expect(Math.abs((findOnset([samples], rate, 970) ?? 0) - 1000)).toBeLessThan(4);
  });

  it("is not invented where nothing begins", () => {
    expect(findOnset([samples], rate, 500)).toBeNull();
  });
});

describe("the pointer", () => {
  const { beats } = steadyGrid(10);
  const view = { startMs: 0, endMs: 5000 };

  it("is on a beat within a few pixels", () => {
    expect(beatUnder(beats, view, 1000, 204, 1020)).toBe(1);
    expect(beatUnder(beats, view, 1000, 230, 1150)).toBeNull();
  });

  it("selects what it was drawn over, in both directions", () => {
    expect(idsBetween(beats, 1600, 900)).toEqual([1, 2]);
  });
});
