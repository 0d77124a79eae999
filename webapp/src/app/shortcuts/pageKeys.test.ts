import { describe, expect, it } from "vitest";
import { KEYS } from "../../track/beats/keys";
import { nameKeys, PAGE_KEYS, pageCommandOf } from "./pageKeys";
import { areShortcutsOn, isForPage, switchShortcuts } from "./settings";

const press = (key: string, modifiers: Partial<KeyboardEvent> = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...modifiers });

describe("the keys of every page", () => {
  it("run their commands, whatever the case", () => {
    expect(pageCommandOf(press("u"))).toBe("upload");
    expect(pageCommandOf(press("U"))).toBe("upload");
    expect(pageCommandOf(press("?"))).toBe("help");
    expect(pageCommandOf(press("k", { ctrlKey: true }))).toBe("palette");
    expect(pageCommandOf(press("k", { metaKey: true }))).toBe("palette");
  });

  it("leave the browser its own", () => {
    expect(pageCommandOf(press("u", { ctrlKey: true }))).toBeUndefined();
    expect(pageCommandOf(press("d", { altKey: true }))).toBeUndefined();
    expect(pageCommandOf(press("x"))).toBeUndefined();
  });

  it("are none of the beat editor's", () => {
    const editor = Object.values(KEYS).flat();
    for (const key of Object.values(PAGE_KEYS)) expect(editor).not.toContain(key);
  });

  it("have the names of the computer", () => {
    expect(nameKeys("Mod K", true)).toEqual(["⌘", "K"]);
    expect(nameKeys("Mod K", false)).toEqual(["Ctrl", "K"]);
  });
});

describe("whether a key press is a shortcut", () => {
  const pressedIn = (html: string): boolean => {
    document.body.innerHTML = html;
    let result = false;
    const listener = (event: KeyboardEvent) => {
      result = isForPage(event);
    };
    addEventListener("keydown", listener);
    document.querySelector("[data-here]")?.dispatchEvent(new KeyboardEvent("keydown", { key: "u", bubbles: true }));
    removeEventListener("keydown", listener);
    document.body.innerHTML = "";
    return result;
  };

  it("is so on buttons, canvases and sliders", () => {
    expect(pressedIn("<button data-here>")).toBe(true);
    expect(pressedIn("<canvas data-here>")).toBe(true);
    expect(pressedIn("<input type=range data-here>")).toBe(true);
  });

  it("is never so where somebody types, or with a dialog open", () => {
    for (const html of ["<input data-here>", "<textarea data-here>", "<select data-here>", "<div contenteditable=true data-here>"]) {
      expect(pressedIn(html)).toBe(false);
    }
    expect(pressedIn("<div role=menu><button data-here></div>")).toBe(false);
    expect(pressedIn("<button data-here></button><div role=dialog></div>")).toBe(false);
  });

  it("can be switched off", () => {
    expect(areShortcutsOn()).toBe(true);
    switchShortcuts(false);
    expect(areShortcutsOn()).toBe(false);
    switchShortcuts(true);
    expect(areShortcutsOn()).toBe(true);
  });
});
