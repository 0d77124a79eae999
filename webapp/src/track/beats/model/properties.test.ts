// @vitest-environment node
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyOperation } from "./apply";
import { diffBeats } from "./diff";
import { gridOf, isDirty, openEditor, reduceEditor, type EditorState } from "./history";
import { findFault } from "./rules";
import { grids, operations } from "./testing";
import type { Beat } from "./types";

const runs = { numRuns: 1500 };
const sequences = fc.array(operations, { minLength: 1, maxLength: 12 });

const perform = (state: EditorState, steps: readonly Parameters<typeof next>[1][]): EditorState =>
  steps.reduce((current, step) => next(current, step), state);
const next = (state: EditorState, make: (grid: ReturnType<typeof gridOf>) => Parameters<typeof applyOperation>[1]) =>
  reduceEditor(state, { type: "operate", operation: make(gridOf(state)) });
const placeOf = ({ ms, downbeat }: Beat) => ({ ms, downbeat });

describe("any sequence of operations", () => {
  it("gives beats that can be saved, with ids of their own", () => {
    fc.assert(
      fc.property(grids, sequences, (grid, steps) => {
        const { present } = perform(openEditor(grid.beats, grid.durationMs), steps);
        expect(findFault(present.beats, grid.durationMs)).toBeNull();
        expect(new Set(present.beats.map(({ id }) => id)).size).toBe(present.beats.length);
        expect(present.beats.every(({ ms }) => ms === Math.round(ms * 10) / 10)).toBe(true);
        expect([...present.selection].every((id) => present.beats.some((beat) => beat.id === id))).toBe(true);
      }),
      runs,
    );
  });

  it("ends where it began when every step is undone, and where it ended when every step is done again", () => {
    fc.assert(
      fc.property(grids, sequences, (grid, steps) => {
        const start = openEditor(grid.beats, grid.durationMs);
        const end = perform(start, steps);
        let undone = end;
        while (undone.past.length > 0) undone = reduceEditor(undone, { type: "undo" });
        expect(undone.present).toBe(start.present);
        expect(isDirty(undone)).toBe(false);
        let redone = undone;
        while (redone.future.length > 0) redone = reduceEditor(redone, { type: "redo" });
        expect(redone.present).toBe(end.present);
      }),
      runs,
    );
  });

  it("never moves or removes a locked beat, nor its place in the bar", () => {
    fc.assert(
      fc.property(grids, operations, (grid, make) => {
        const operation = make(grid);
        const result = applyOperation(grid, operation);
        if (!result.ok) return;
        const after = new Map(result.beats.map((beat) => [beat.id, beat]));
        for (const beat of grid.beats.filter(({ locked }) => locked)) {
          const found = after.get(beat.id);
          expect(found && placeOf(found)).toEqual(placeOf(beat));
        }
      }),
      { numRuns: 6000 },
    );
  });

  it("leaves its argument as it is", () => {
    fc.assert(
      fc.property(grids, operations, (grid, make) => {
        const copy = structuredClone(grid);
        applyOperation(grid, make(grid));
        expect(grid).toEqual(copy);
      }),
      runs,
    );
  });

  it("changes nothing before the range of an operation from a beat on", () => {
    fc.assert(
      fc.property(grids, operations, (grid, make) => {
        const operation = make(grid);
        const result = applyOperation(grid, operation);
        if (!result.ok || !("range" in operation)) return;
        if (operation.kind === "shift" || operation.kind === "shift_beats") return;
        const { first } = operation.range;
        expect(result.beats.slice(0, first)).toEqual(grid.beats.slice(0, first));
      }),
      { numRuns: 4000 },
    );
  });
});

describe("anchors", () => {
  it("leave what stands before the anchor before them, and what stands from the next one on", () => {
    fc.assert(
      fc.property(grids, fc.nat(39), fc.double({ min: 0, max: 50_000, noNaN: true }), (grid, drawn, ms) => {
        const index = drawn % grid.beats.length;
        const beat = grid.beats[index] as Beat;
        const result = applyOperation(grid, { kind: "adjust", id: beat.id, ms });
        if (!result.ok) return;
        const stays = (other: Beat) => other.anchor || other.locked;
        const before = grid.beats.slice(0, index).findLastIndex(stays);
        const kept = before === -1 ? index : before + 1;
        expect(result.beats.slice(0, kept)).toEqual(grid.beats.slice(0, kept));
        const next = grid.beats.findIndex((other, place) => place > index && stays(other));
        if (next !== -1) expect(result.beats.slice(next)).toEqual(grid.beats.slice(next));
      }),
      { numRuns: 4000 },
    );
  });
});

describe("the difference of two grids", () => {
  it("accounts for every beat of both", () => {
    fc.assert(
      fc.property(grids, grids, ({ beats: before }, { beats: after }) => {
        const diff = diffBeats(before, after);
        expect(diff.same + diff.moved.length + diff.removed.length).toBe(before.length);
        expect(diff.same + diff.moved.length + diff.added.length).toBe(after.length);
        expect(diffBeats(before, before).same).toBe(before.length);
      }),
      runs,
    );
  });
});
