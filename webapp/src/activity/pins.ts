import { useSyncExternalStore } from "react";
import type { ActivityItem } from "./items";

const KEY = "k1.activity.pins";
const MOST = 50;
const listeners = new Set<() => void>();
let pins: readonly ActivityItem[] = read();

/** Returns the pinned lines. They are kept whole, in this browser: the feed forgets its events some day. */
export function usePins(): readonly ActivityItem[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => pins,
  );
}

/** Pins a line, or unpins it. */
export function togglePin(item: ActivityItem): void {
  const others = pins.filter(({ id }) => id !== item.id);
  pins = others.length < pins.length ? others : [item, ...pins].slice(0, MOST);
  localStorage.setItem(KEY, JSON.stringify(pins));
  for (const listener of listeners) listener();
}

function read(): readonly ActivityItem[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(value) ? (value as ActivityItem[]) : [];
  } catch {
    return [];
  }
}
