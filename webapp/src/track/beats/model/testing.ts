/** Makes grids and operations for the tests of the beat model. */
import * as fc from "fast-check";
import { MIN_SPACING_MS } from "./rules";
import type { Beat, Grid, Operation, Range } from "./types";

/** Return evenly spaced beats from `firstMs` on; every fourth begins a bar. */
export function steadyGrid(count: number, periodMs = 500, firstMs = 500, beatsPerBar = 4): Grid {
  const beats = Array.from({ length: count }, (_, index) => ({
    id: index,
    ms: firstMs + index * periodMs,
    downbeat: index % beatsPerBar === 0,
    locked: false,
    anchor: false,
    confidence: 0.9,
  }));
  return { beats, durationMs: firstMs + count * periodMs };
}

/** Return the grid with some beats changed. */
export function withBeats(grid: Grid, indices: readonly number[], change: Partial<Beat>): Grid {
  return { ...grid, beats: grid.beats.map((beat, index) => (indices.includes(index) ? { ...beat, ...change } : beat)) };
}

/** Generates valid grids with any tempo, bars, locks and anchors. */
export const grids: fc.Arbitrary<Grid> = fc
  .array(
    fc.record({
      gap: fc.integer({ min: MIN_SPACING_MS * 10, max: 12_000 }),
      downbeat: fc.boolean(),
      locked: fc.boolean(),
      anchor: fc.boolean(),
    }),
    { minLength: 2, maxLength: 40 },
  )
  .map((drawn) => {
    let tenths = 0;
    const beats = drawn.map(({ gap, locked, anchor, downbeat }, id) => {
      tenths += gap;
      return { id, ms: tenths / 10, downbeat, locked: locked && id % 3 === 0, anchor: anchor && id % 4 === 0, confidence: 0.5 };
    });
    return { beats, durationMs: tenths / 10 + 700 };
  });

const index = fc.nat(50);
const ids = fc.array(index, { maxLength: 6 });
const times = fc.double({ min: -500, max: 50_000, noNaN: true });
const range: fc.Arbitrary<Range> = fc
  .tuple(index, index)
  .map(([one, other]) => ({ first: Math.min(one, other), last: Math.max(one, other) }));
const openRange: fc.Arbitrary<(grid: Grid) => Range> = fc.tuple(range, fc.boolean()).map(
  ([drawn, open]) =>
    (grid: Grid) => {
      const end = grid.beats.length - 1;
      return { first: Math.min(drawn.first, end), last: open ? end : Math.min(drawn.last, end) };
    },
);

/** Generates operations for a grid; a function, because a range depends on the number of beats at that time. */
export const operations: fc.Arbitrary<(grid: Grid) => Operation> = fc.oneof(
  times.map((ms) => (): Operation => ({ kind: "insert", ms })),
  ids.map((drawn) => (): Operation => ({ kind: "delete", ids: drawn })),
  fc.tuple(ids, fc.double({ min: -800, max: 800, noNaN: true })).map(
    ([drawn, byMs]) =>
      (): Operation => ({ kind: "move", ids: drawn, byMs }),
  ),
  fc.tuple(openRange, fc.constantFrom<0 | 1>(0, 1)).map(
    ([of, phase]) =>
      (grid: Grid): Operation => ({ kind: "half", range: of(grid), phase }),
  ),
  openRange.map((of) => (grid: Grid): Operation => ({ kind: "double", range: of(grid) })),
  fc.tuple(openRange, fc.double({ min: -600, max: 600, noNaN: true })).map(
    ([of, byMs]) =>
      (grid: Grid): Operation => ({ kind: "shift", range: of(grid), byMs }),
  ),
  fc.tuple(openRange, fc.constantFrom(-1, -0.5, 0.5, 1)).map(
    ([of, byBeats]) =>
      (grid: Grid): Operation => ({ kind: "shift_beats", range: of(grid), byBeats }),
  ),
  fc.tuple(openRange, fc.constantFrom(-1, 1)).map(
    ([of, byBeats]) =>
      (grid: Grid): Operation => ({ kind: "shift_bars", range: of(grid), byBeats }),
  ),
  openRange.map((of) => (grid: Grid): Operation => ({ kind: "set_downbeat", index: of(grid).first, last: of(grid).last })),
  ids.map((drawn) => (): Operation => ({ kind: "toggle_downbeat", ids: drawn })),
  fc.tuple(openRange, fc.integer({ min: 0, max: 33 })).map(
    ([of, beatsPerBar]) =>
      (grid: Grid): Operation => ({ kind: "set_meter", range: of(grid), beatsPerBar }),
  ),
  fc.tuple(openRange, fc.double({ min: 5, max: 1100, noNaN: true })).map(
    ([of, bpm]) =>
      (grid: Grid): Operation => ({ kind: "set_tempo", range: of(grid), bpm }),
  ),
  fc.tuple(openRange, fc.option(fc.nat(30), { nil: null })).map(
    ([of, count]) =>
      (grid: Grid): Operation =>
        count === null ? { kind: "fill", range: of(grid) } : { kind: "fill", range: of(grid), count },
  ),
  fc.tuple(index, times).map(
    ([id, ms]) =>
      (): Operation => ({ kind: "adjust", id, ms }),
  ),
  fc.tuple(ids, fc.boolean()).map(
    ([drawn, anchor]) =>
      (): Operation => ({ kind: "set_anchor", ids: drawn, anchor }),
  ),
  fc.tuple(ids, fc.boolean()).map(
    ([drawn, locked]) =>
      (): Operation => ({ kind: "set_locked", ids: drawn, locked }),
  ),
  fc.array(times, { maxLength: 30 }).map(
    (drawn) =>
      (): Operation => ({ kind: "replace", beatsMs: drawn, downbeatsMs: drawn.filter((_, place) => place % 4 === 0) }),
  ),
);
