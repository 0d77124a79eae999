import { useSyncExternalStore } from "react";

const KEY = "k1.shortcuts";
const listeners = new Set<() => void>();

/** Returns whether keys run commands; a person may switch that off, for example to dictate text. */
export function areShortcutsOn(): boolean {
  return localStorage.getItem(KEY) !== "off";
}

/** Switches all shortcuts on or off in this browser. */
export function switchShortcuts(on: boolean): void {
  if (on) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, "off");
  for (const listener of listeners) listener();
}

/** Returns whether keys run commands, and renders again when that changes. */
export function useShortcutsOn(): boolean {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, areShortcutsOn);
}

/** Elements in which keys are text, or belong to the widget. */
const WIDGETS =
  "input:not([type='range'], [type='checkbox']), textarea, select, [contenteditable='true'], [role='menu'], [role='dialog']";

/** Returns whether a key press may be a shortcut: not while somebody types, and not below an open dialog. */
export function isForPage(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : null;
  return !event.defaultPrevented && !target?.closest(WIDGETS) && !document.querySelector("[role='dialog']");
}
