import { fireEvent, render } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { switchShortcuts } from "../../app/shortcuts/settings";
import { editOf, runCommand, type CommandContext } from "./commands";
import { createTimeline } from "./canvas/timeline";
import { keepDraft, readDraft } from "./draft";
import { judge } from "./judge";
import { openEditor, reduceEditor, type Beat, type EditorState } from "./model";
import { steadyGrid, withBeats } from "./model/testing";
import type { BeatSheet } from "./sheet";
import { useShortcuts } from "./useShortcuts";
import { AudioEngine } from "../player/engine";

const GRID = steadyGrid(32);
const OTHER = withBeats(GRID, [3], { ms: 2040 }).beats;

function sheet(beats: readonly Beat[], version = 1, etag = "a"): BeatSheet {
  return { version, baseVersion: 1, etag, durationMs: GRID.durationMs, bpm: 120, beats, override: null, sections: [], alternatives: [], ownScore: null };
}

describe("beats from the server", () => {
  const clean = openEditor(GRID.beats, GRID.durationMs);
  const dirty = reduceEditor(clean, { type: "operate", operation: { kind: "move", ids: [5], byMs: 12 } });
  const base = { version: 1, etag: "a" };

  it("are shown where nothing is edited, and offered where something is", () => {
    expect(judge(sheet(OTHER, 2, "b"), base, clean)).toBe("load");
    expect(judge(sheet(OTHER, 2, "b"), base, dirty)).toBe("offer");
  });

  it("are only counted against where they are those on the screen or those that were saved", () => {
    expect(judge(sheet(dirty.present.beats, 2, "b"), base, dirty)).toBe("rebase");
    expect(judge(sheet(GRID.beats, 2, "b"), base, dirty)).toBe("rebase");
  });

  it("with a newer tag for the same version do not arm a save that would overwrite what is on its way", () => {
    expect(judge(sheet(GRID.beats, 1, "b"), base, dirty)).toBe("ignore");
  });
});

function context(state: EditorState, overrides: Partial<CommandContext> = {}): CommandContext {
  return {
    state,
    dispatch: vi.fn(),
    engine: new AudioEngine(),
    timeline: createTimeline(GRID.durationMs),
    sections: [],
    scope: "all",
    mayEdit: true,
    snap: (ms) => ms,
    tap: vi.fn(),
    save: vi.fn(),
    ...overrides,
  };
}

describe("commands", () => {
  it("halve so that the bars keep their first beats, also after a pick-up, or the beats between", () => {
    const pickup = { ...GRID, beats: GRID.beats.map((beat, index) => ({ ...beat, downbeat: index === 0 || index % 4 === 1 })) };
    const at = context(openEditor(pickup.beats, pickup.durationMs));
    expect(editOf("half", at)).toMatchObject({ kind: "half", phase: 1 });
    expect(editOf("half_other", at)).toMatchObject({ kind: "half", phase: 0 });
  });

  it("do not change beats for those who may not edit, but do all else", () => {
    const viewer = context(reduceEditor(openEditor(GRID.beats, GRID.durationMs), { type: "select", ids: [4] }), { mayEdit: false });
    for (const command of ["delete", "nudge_later", "half", "insert", "undo", "save"] as const) runCommand(command, viewer);
    expect(viewer.dispatch).not.toHaveBeenCalled();
    expect(viewer.save).not.toHaveBeenCalled();
    runCommand("next", viewer);
    expect(viewer.dispatch).toHaveBeenCalledWith({ type: "select", ids: [5] });
  });

  it("insert at the onset near the playhead", () => {
    const editor = context(openEditor(GRID.beats, GRID.durationMs), { snap: (ms) => ms + 7 });
    editor.engine.seek(740);
    runCommand("insert", editor);
    expect(editor.dispatch).toHaveBeenCalledWith({ type: "operate", operation: { kind: "insert", ms: 747 } });
  });
});

it("keeps edits over a reload, but not on top of other beats", () => {
  keepDraft("trk", GRID.beats, OTHER);
  expect(readDraft("trk", GRID.beats)).toEqual(OTHER);
  expect(readDraft("trk", OTHER)).toBeNull();
  keepDraft("trk", GRID.beats, null);
  expect(readDraft("trk", GRID.beats)).toBeNull();
});

describe("keys", () => {
  function Host({ run, isOn = () => true }: { run: (command: string) => void; isOn?: () => boolean }) {
    useShortcuts(run, isOn);
    return (
      <>
        <input aria-label="note" />
        <input type="range" aria-label="slider" />
        <button type="button">button</button>
        <canvas tabIndex={0} />
      </>
    );
  }

  function press(selector: string, key: string, isOn?: () => boolean): string[] {
    const run = vi.fn<(command: string) => void>();
    const { container, unmount } = render(<Host run={run} {...(isOn ? { isOn } : {})} />);
    fireEvent.keyDown(container.querySelector(selector) ?? document.body, { key });
    unmount();
    return run.mock.calls.map(([command]) => command);
  }

  it("work wherever the focus is", () => {
    expect(press("canvas", "i")).toEqual(["insert"]);
    expect(press("button", "Delete")).toEqual(["delete"]);
    expect(press("body", " ")).toEqual(["play"]);
  });

  it("are text in a field, and belong to the button or slider that uses them", () => {
    expect(press("input[aria-label=note]", "i")).toEqual([]);
    expect(press("button", " ")).toEqual([]);
    expect(press("input[type=range]", "ArrowLeft")).toEqual([]);
    expect(press("input[type=range]", "i")).toEqual(["insert"]);
  });

  it("leave a button that was clicked", () => {
    const run = vi.fn<(command: string) => void>();
    const { getByRole } = render(<Host run={run} />);
    const button = getByRole("button");
    fireEvent.pointerDown(button);
    button.focus();
    fireEvent.keyDown(button, { key: " " });
    expect(run).toHaveBeenCalledWith("play");
    expect(button).not.toHaveFocus();
    fireEvent.keyDown(document.body, { key: "Tab" });
    button.focus();
    fireEvent.keyDown(button, { key: " " });
    expect(run).toHaveBeenCalledTimes(1);
  });

  it("are off for those who switched them off", () => {
    switchShortcuts(false);
    expect(press("canvas", "i")).toEqual([]);
    switchShortcuts(true);
  });

  it("are off where the tab does not want them", () => {
    expect(press("canvas", "i", () => false)).toEqual([]);
  });
});
