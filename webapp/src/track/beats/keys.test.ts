// @vitest-environment node
import { expect, it } from "vitest";
import { commandOf, describeKeys, KEYS } from "./keys";

const press = (key: string, modifiers: Partial<Record<"ctrlKey" | "metaKey" | "shiftKey" | "altKey", boolean>> = {}) =>
  commandOf({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...modifiers });

it("gives each key to one command", () => {
  const all = Object.values(KEYS).flat();
  expect(new Set(all).size).toBe(all.length);
});

it("knows commands by their keys, also in capital letters and with Command", () => {
  expect(press(" ")).toBe("play");
  expect(press("i")).toBe("insert");
  expect(press("z", { metaKey: true })).toBe("undo");
  expect(press("Z", { ctrlKey: true, shiftKey: true })).toBe("redo");
  expect(press("ArrowLeft", { altKey: true })).toBe("nudge_earlier");
  expect(press("y")).toBeNull();
});

it("knows signs that need Shift on some keyboards", () => {
  expect(press("+", { shiftKey: true })).toBe("zoom_in");
  expect(press("<", { shiftKey: true })).toBe("nudge_earlier_fine");
});

it("describes keys", () => {
  expect(describeKeys("redo", false)).toBe("Ctrl Shift Z");
  expect(describeKeys("zoom_in", false)).toBe("+");
});
