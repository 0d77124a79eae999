import { useSyncExternalStore } from "react";

export type Theme = "dark" | "light" | "system";

const KEY = "k1.theme";
const listeners = new Set<() => void>();

/** Returns the chosen theme; dark where nothing was chosen. */
export function chosenTheme(): Theme {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "system" ? value : "dark";
}

/** Shows the page in the chosen theme. Called before the first paint. */
export function applyTheme(): void {
  document.documentElement.dataset["theme"] = chosenTheme();
}

/** Chooses a theme, and keeps the choice in this browser. */
export function chooseTheme(theme: Theme): void {
  localStorage.setItem(KEY, theme);
  applyTheme();
  for (const listener of listeners) listener();
}

/** Returns the chosen theme, and renders again when it changes: canvases read their colours anew. */
export function useTheme(): Theme {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, chosenTheme);
}
