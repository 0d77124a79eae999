// @vitest-environment node
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { beatsDuring, clockAt, songTimeAt, unfoldedAt, type Playback } from "./transport";

const plain: Playback = { startedAt: 10, startMs: 5000, rate: 1, loop: null };
const looped: Playback = { startedAt: 10, startMs: 5000, rate: 0.5, loop: { startMs: 4000, endMs: 6000 } };
const beats = [4000, 4500, 5000, 5500, 6000, 6500].map((ms) => ({ ms }));

describe("the time of the song", () => {
  it("goes with the audio clock, at the speed", () => {
    expect(songTimeAt(plain, 12.5)).toBe(7500);
    expect(songTimeAt(plain, 9)).toBe(5000);
    expect(songTimeAt(looped, 11)).toBe(5500);
  });

  it("goes round the loop", () => {
    expect(songTimeAt(looped, 12)).toBe(4000);
    expect(songTimeAt(looped, 14)).toBe(5000);
    expect(songTimeAt(looped, 16.2)).toBeCloseTo(4100, 6);
  });

  it("has an inverse", () => {
    fc.assert(
      fc.property(fc.double({ min: 10, max: 500, noNaN: true }), (clock) => {
        expect(clockAt(looped, unfoldedAt(looped, clock))).toBeCloseTo(clock, 6);
      }),
    );
  });
});

describe("the beats of the metronome", () => {
  it("are those that play, each once", () => {
    expect(beatsDuring(plain, beats, 5000, 6000).map(({ beat }) => beat.ms)).toEqual([5000, 5500]);
    const times = beatsDuring(looped, beats, 5400, 8600).map(({ beat, unfoldedMs }) => [beat.ms, unfoldedMs]);
    expect(times).toEqual([[5500, 5500], [4000, 6000], [4500, 6500], [5000, 7000], [5500, 7500], [4000, 8000], [4500, 8500]]);
  });

  it("are the same in any pieces", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 1, max: 900, noNaN: true }), { maxLength: 20 }), (pieces) => {
        let at = 5000;
        const heard: number[] = [];
        for (const piece of pieces) {
          heard.push(...beatsDuring(looped, beats, at, at + piece).map(({ unfoldedMs }) => Math.round(unfoldedMs)));
          at += piece;
        }
        expect(heard).toEqual(beatsDuring(looped, beats, 5000, at).map(({ unfoldedMs }) => Math.round(unfoldedMs)));
      }),
    );
  });
});
