// @vitest-environment node
import { describe, expect, it } from "vitest";
import { applyOperation } from "./apply";
import { diffBeats } from "./diff";
import { downbeatIndices, placesOf, wholeRange } from "./grid";
import { gridOf, isDirty, openEditor, reduceEditor } from "./history";
import { addTap, tapTempo } from "./tap";
import { steadyGrid, withBeats } from "./testing";
import type { Grid, Operation } from "./types";

const times = (grid: Grid) => grid.beats.map(({ ms }) => ms);
function perform(grid: Grid, operation: Operation): Grid {
  const result = applyOperation(grid, operation);
  if (!result.ok) throw new Error(result.problem);
  return { ...grid, beats: result.beats };
}
function problemOf(grid: Grid, operation: Operation): string | null {
  const result = applyOperation(grid, operation);
  return result.ok ? null : result.problem;
}

describe("single beats", () => {
  const grid = steadyGrid(4);

  it("are inserted in order, and not within 50 ms of another", () => {
    expect(times(perform(grid, { kind: "insert", ms: 760.04 }))).toEqual([500, 760, 1000, 1500, 2000]);
    expect(problemOf(grid, { kind: "insert", ms: 1049 })).toBe("too_close");
    expect(problemOf(grid, { kind: "insert", ms: 9000 })).toBe("outside");
  });

  it("stop 50 ms before a neighbour", () => {
    expect(times(perform(grid, { kind: "move", ids: [1], byMs: 900 }))).toEqual([500, 1450, 1500, 2000]);
    expect(times(perform(grid, { kind: "move", ids: [1, 2], byMs: -900 }))).toEqual([500, 550, 1050, 2000]);
    expect(times(perform(grid, { kind: "move", ids: [0], byMs: -900 }))).toEqual([0, 1000, 1500, 2000]);
  });

  it("stay where they are locked", () => {
    const locked = withBeats(grid, [1], { locked: true });
    expect(problemOf(locked, { kind: "move", ids: [1], byMs: 5 })).toBe("locked");
    expect(problemOf(locked, { kind: "delete", ids: [1] })).toBe("locked");
    expect(times(perform(locked, { kind: "delete", ids: [0, 1] }))).toEqual([1000, 1500, 2000]);
    expect(problemOf(grid, { kind: "delete", ids: [0, 1, 2] })).toBe("too_few");
  });
});

describe("levels", () => {
  it("keep bars of four at half the tempo, in both phases", () => {
    const grid = steadyGrid(8);
    const first = perform(grid, { kind: "half", range: wholeRange(grid.beats), phase: 0 });
    expect(times(first)).toEqual([500, 1500, 2500, 3500]);
    expect(downbeatIndices(first.beats)).toEqual([0, 2]);
    const second = perform(grid, { kind: "half", range: wholeRange(grid.beats), phase: 1 });
    expect(times(second)).toEqual([1000, 2000, 3000, 4000]);
    expect(downbeatIndices(second.beats)).toEqual([0, 2]);
  });

  it("double from here only", () => {
    const grid = perform(steadyGrid(4), { kind: "double", range: { first: 2, last: 3 } });
    expect(times(grid)).toEqual([500, 1000, 1500, 1750, 2000]);
  });

  it("shift by half an interval, also where the tempo changes", () => {
    const grid: Grid = { ...steadyGrid(3), beats: [0, 400, 1000].map((ms, id) => ({ ...steadyGrid(3).beats[0]!, id, ms })) };
    const range = wholeRange(grid.beats);
    expect(times(perform(grid, { kind: "shift_beats", range, byBeats: 0.5 }))).toEqual([200, 700, 1300]);
    expect(times(perform(grid, { kind: "shift_beats", range, byBeats: -0.5 }))).toEqual([200, 700]);
    expect(times(perform(grid, { kind: "shift", range, byMs: -10 }))).toEqual([390, 990]);
  });
});

describe("bars", () => {
  it("are counted anew from a downbeat on, and those before it stay", () => {
    const grid = perform(steadyGrid(12), { kind: "set_downbeat", index: 6, last: 11 });
    expect(downbeatIndices(grid.beats)).toEqual([0, 4, 6, 10]);
  });

  it("begin again at a locked downbeat", () => {
    const grid = perform(withBeats(steadyGrid(12), [8], { locked: true }), { kind: "set_meter", range: { first: 0, last: 11 }, beatsPerBar: 3 });
    expect(downbeatIndices(grid.beats)).toEqual([0, 3, 6, 8, 11]);
  });

  it("begin a beat later", () => {
    const grid = perform(steadyGrid(9), { kind: "shift_bars", range: { first: 0, last: 8 }, byBeats: 1 });
    expect(downbeatIndices(grid.beats)).toEqual([1, 5]);
    const back = perform(grid, { kind: "shift_bars", range: { first: 0, last: 8 }, byBeats: -1 });
    expect(downbeatIndices(back.beats)).toEqual([0, 4, 8]);
  });

  it("have numbers; an upbeat is in bar 0", () => {
    const grid = perform(steadyGrid(7), { kind: "shift_bars", range: { first: 0, last: 6 }, byBeats: 2 });
    expect(placesOf(grid.beats).map(({ bar, beat }) => `${bar}.${beat}`)).toEqual(["0.3", "0.4", "1.1", "1.2", "1.3", "1.4", "2.1"]);
  });
});

describe("tempo", () => {
  it("is laid from a beat on to about where the beats ended", () => {
    const grid = perform(steadyGrid(8), { kind: "set_tempo", range: { first: 4, last: 7 }, bpm: 240 });
    expect(times(grid)).toEqual([500, 1000, 1500, 2000, 2500, 2750, 3000, 3250, 3500, 3750, 4000]);
    expect(downbeatIndices(grid.beats)).toEqual([0, 4, 8]);
  });

  it("meets the end of a range and locked beats", () => {
    const grid = perform(steadyGrid(8), { kind: "set_tempo", range: { first: 2, last: 4 }, bpm: 230 });
    expect(times(grid)).toEqual([500, 1000, 1500, 1750, 2000, 2250, 2500, 3000, 3500, 4000]);
  });

  it("fills the gap between two beats by the tempo around it, or by a number", () => {
    const grid = steadyGrid(24);
    const holed = { ...grid, beats: grid.beats.filter((_, index) => index < 12 || index > 14) };
    const range = { first: 11, last: 12 };
    const filled = perform(holed, { kind: "fill", range });
    expect(times(filled)).toEqual(times(grid));
    expect(downbeatIndices(filled.beats)).toEqual([0, 4, 8, 12, 16, 20]);
    expect(perform(holed, { kind: "fill", range, count: 1 }).beats[12]?.ms).toBe(7000);
  });

  it("is that of the taps", () => {
    const taps = [1000, 1510, 1990, 2500, 3000].reduce<readonly number[]>(addTap, []);
    expect(tapTempo(taps)?.bpm).toBeCloseTo(120.2, 1);
    expect(addTap(taps, 9000)).toEqual([9000]);
    expect(tapTempo([1000, 1500])).toBeNull();
  });
});

describe("anchors", () => {
  it("mend a song that becomes slower without moving what stands before the first", () => {
    let grid = withBeats(steadyGrid(9), [2], { anchor: true });
    grid = perform(grid, { kind: "adjust", id: 4, ms: 2700 });
    // 600 ms from the anchor on, and at this tempo to the end.
    expect(times(grid)).toEqual([500, 1000, 1500, 2100, 2700, 3300, 3900, 4500]);
    grid = perform(grid, { kind: "adjust", id: 6, ms: 4100 });
    expect(times(grid).slice(0, 7)).toEqual([500, 1000, 1500, 2100, 2700, 3400, 4100]);
  });

  it("carry the rest along where there is no other", () => {
    expect(times(perform(steadyGrid(4), { kind: "adjust", id: 1, ms: 1040 }))).toEqual([500, 1040, 1540, 2040]);
  });
});

describe("the editor", () => {
  it("is dirty until its beats are those that are saved", () => {
    const grid = steadyGrid(4);
    let state = openEditor(grid.beats, grid.durationMs);
    state = reduceEditor(state, { type: "operate", operation: { kind: "move", ids: [1], byMs: 5 } });
    expect(isDirty(state)).toBe(true);
    expect(isDirty(reduceEditor(state, { type: "undo" }))).toBe(false);
    state = reduceEditor(state, { type: "saved", beats: state.present.beats });
    expect(isDirty(state)).toBe(false);
    expect(isDirty(reduceEditor(state, { type: "undo" }))).toBe(true);
  });

  it("says why it refuses, and keeps the beats", () => {
    const grid = steadyGrid(4);
    const state = openEditor(grid.beats, grid.durationMs);
    const refused = reduceEditor(state, { type: "operate", operation: { kind: "insert", ms: 501 } });
    expect(refused.problem).toBe("too_close");
    expect(gridOf(refused).beats).toBe(grid.beats);
  });

  it("selects from the focus to another beat", () => {
    const grid = steadyGrid(6);
    let state = reduceEditor(openEditor(grid.beats, grid.durationMs), { type: "select", ids: [2] });
    state = reduceEditor(state, { type: "extend", id: 4 });
    expect([...state.present.selection]).toEqual([2, 3, 4]);
    state = reduceEditor(state, { type: "extend", id: 1 });
    expect([...state.present.selection]).toEqual([1, 2]);
  });
});

it("pairs each beat with the nearest one within 70 ms", () => {
  const at = (...list: number[]) => list.map((ms) => ({ ms, downbeat: false }));
  expect(diffBeats(at(0, 500, 1000), at(0, 520, 1200))).toMatchObject({
    same: 1,
    moved: [{ before: 1, after: 1, byMs: 20 }],
    added: [2],
    removed: [2],
  });
  expect(diffBeats(at(100, 160), at(158))).toMatchObject({ moved: [{ before: 1, after: 0, byMs: -2 }], removed: [0] });
});
