import { useSyncExternalStore } from "react";
import type { FeedEvent } from "../api/types";
import { useLive } from "../live/useLive";
import { addReading, type ReadingLine } from "./readings";

/** Readings come ten times a second from each device; they are shown so often at most. */
const EVERY_MS = 250;
/** The feed takes 200 topics; some are for the page itself. */
const MOST_DEVICES = 150;

const lines = new Map<string, ReadingLine>();
const listeners = new Set<() => void>();
let told = new Map<string, ReadingLine>();
let timer: ReturnType<typeof setTimeout> | undefined;

function keep(event: FeedEvent): void {
  if (event.type !== "device.reading") return;
  lines.set(event.data.device_id, addReading(lines.get(event.data.device_id), event.data));
  timer ??= setTimeout(() => {
    timer = undefined;
    told = new Map(lines);
    for (const listener of listeners) listener();
  }, EVERY_MS);
}

/** Listens to the readings of devices while the component is shown; of the first 150, which is more than fit a screen. */
export function useReadingsOf(deviceIds: readonly string[]): void {
  useLive(deviceIds.slice(0, MOST_DEVICES).map((id) => `device:${id}`).join(","), keep);
}

/** Returns the readings of a device in the last minute, as far as this page has heard them. */
export function useReadings(deviceId: string): ReadingLine | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => told.get(deviceId),
  );
}
