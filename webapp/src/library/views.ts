import { useSyncExternalStore } from "react";
import { NO_FILTERS, type Filters } from "./filters";
import { library as t } from "../texts/library";

export interface SavedView {
  name: string;
  filters: Filters;
}

/** Views that everyone has. */
export const BUILT_IN: readonly SavedView[] = [
  { name: t.builtInViews.all, filters: NO_FILTERS },
  { name: t.builtInViews.review, filters: { ...NO_FILTERS, status: "warning" } },
  { name: t.builtInViews.processing, filters: { ...NO_FILTERS, status: "processing" } },
  { name: t.builtInViews.failed, filters: { ...NO_FILTERS, status: "failed" } },
  { name: t.builtInViews.deleted, filters: { ...NO_FILTERS, status: "deleted" } },
];

const KEY = "k1.library.views";
const listeners = new Set<() => void>();
let cached: { text: string | null; views: readonly SavedView[] } = { text: null, views: [] };

function read(): readonly SavedView[] {
  const text = localStorage.getItem(KEY);
  if (text !== cached.text) cached = { text, views: parse(text) };
  return cached.views;
}

function parse(text: string | null): readonly SavedView[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? (value as SavedView[]) : [];
  } catch {
    return [];
  }
}

function write(views: readonly SavedView[]): void {
  localStorage.setItem(KEY, JSON.stringify(views));
  for (const listener of listeners) listener();
}

/** Keeps a view under a name; one of the same name is replaced. */
export function saveView(view: SavedView): void {
  write([...read().filter(({ name }) => name !== view.name), view]);
}

/** Forgets a view. */
export function removeView(name: string): void {
  write(read().filter((view) => view.name !== name));
}

/** Returns the views that were saved in this browser. */
export function useSavedViews(): readonly SavedView[] {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, read);
}
