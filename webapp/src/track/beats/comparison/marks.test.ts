// @vitest-environment node
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { steadyGrid, withBeats } from "../model/testing";
import { beatsAt, marksOf } from "./marks";

const GRID = steadyGrid(8).beats;

it("names what moved, what is only here and what is only there, at the times where they are drawn", () => {
  const moved = withBeats(steadyGrid(8), [3], { ms: 2020 }).beats;
  const shown = [...moved.filter((_, index) => index !== 5), { ...GRID[0]!, id: 99, ms: 4300, downbeat: false }];
  const marks = marksOf(GRID, shown);
  expect(marks).toMatchObject({ moved: [{ fromMs: 2000, toMs: 2020 }], added: [4300], removed: [3000], bars: [], same: 6 });
});

it("names bars that begin elsewhere, and nothing between a list and itself", () => {
  const shifted = GRID.map((beat, index) => ({ ...beat, downbeat: index === 1 }));
  expect(marksOf(GRID, shifted).bars).toEqual([500, 1000, 2500]);
  expect(marksOf(GRID, GRID)).toEqual({ moved: [], added: [], removed: [], bars: [], same: 8 });
});

it("accounts for every beat of both lists once", () => {
  const lists = fc.uniqueArray(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }).map((steps) => beatsAt(steps.sort((one, other) => one - other).map((step) => 50 * step), []));
  fc.assert(
    fc.property(lists, lists, (others, shown) => {
      const { same, moved, added, removed } = marksOf(others, shown);
      expect(same + moved.length + added.length).toBe(shown.length);
      expect(same + moved.length + removed.length).toBe(others.length);
    }),
  );
});
