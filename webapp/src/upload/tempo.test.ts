import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { guessTempo, TEMPO_RATE } from "./tempo";

/** Makes clicks of decaying noise at a tempo, with a louder one on each fourth beat. */
function clicks(bpm: number, seconds: number, offset_s: number): Float32Array {
  const samples = new Float32Array(seconds * TEMPO_RATE);
  let noise = 1;
  for (let beat = 0; ; beat++) {
    const start = Math.round((offset_s + (beat * 60) / bpm) * TEMPO_RATE);
    if (start >= samples.length) return samples;
    for (let index = 0; index < 600 && start + index < samples.length; index++) {
      noise = (noise * 16807) % 2147483647;
      samples[start + index] = (noise / 1073741823 - 1) * Math.exp(-index / 120) * (beat % 4 === 0 ? 0.9 : 0.6);
    }
  }
}

describe("the guess of the tempo", () => {
  it("finds steady clicks, up to half or double", () => {
    fc.assert(fc.property(fc.integer({ min: 70, max: 180 }), fc.double({ min: 0, max: 1, noNaN: true }), (bpm, offset) => {
      const guess = guessTempo(clicks(bpm, 20, offset), TEMPO_RATE) ?? 0;
      const ratio = Math.log2(guess / bpm);
      expect(Math.abs(ratio - Math.round(ratio))).toBeLessThan(0.02);
    }), { numRuns: 25 });
  });

  it("finds usual tempos exactly", () => {
    for (const bpm of [90, 100, 120, 128, 140]) {
      const guess = guessTempo(clicks(bpm, 20, 0.3), TEMPO_RATE) ?? 0;
      expect(Math.abs(guess - bpm)).toBeLessThan(1.5);
    }
  });

  it("says nothing of silence, and of what is too short", () => {
    expect(guessTempo(new Float32Array(TEMPO_RATE * 10), TEMPO_RATE)).toBeUndefined();
    expect(guessTempo(clicks(120, 3, 0), TEMPO_RATE)).toBeUndefined();
  });

  it("takes far less than three seconds for a minute and a half", () => {
    const samples = clicks(128, 90, 0);
    const start = performance.now();
    guessTempo(samples, TEMPO_RATE);
    expect(performance.now() - start).toBeLessThan(3000);
  });
});
