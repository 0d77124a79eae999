import { useSyncExternalStore } from "react";
import type { JobProgress } from "../api/types";

// Progress arrives many times a second for many tracks: it is kept apart from the queries, so that only the row it
// concerns renders again.
const progressOfTracks = new Map<string, JobProgress>();
const listenersOfTracks = new Map<string, Set<() => void>>();

/** Keeps the newest progress of a track's analysis. */
export function keepProgress(progress: JobProgress): void {
  progressOfTracks.set(progress.track_id, progress);
  for (const listener of listenersOfTracks.get(progress.track_id) ?? []) listener();
}

/** Returns the newest progress of a track's analysis, as the live feed told it; with the first beats once known. */
export function useProgress(trackId: string): JobProgress | undefined {
  return useSyncExternalStore(
    (listener) => {
      const listeners = listenersOfTracks.get(trackId) ?? new Set();
      listenersOfTracks.set(trackId, listeners);
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) listenersOfTracks.delete(trackId);
      };
    },
    () => progressOfTracks.get(trackId),
  );
}
