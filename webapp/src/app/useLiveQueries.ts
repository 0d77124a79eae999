import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { keys } from "../api/queries";
import type { FeedEvent } from "../api/types";
import { keepProgress } from "../live/progress";
import { useLive } from "../live/useLive";
import { makeThrottle } from "../live/throttle";

/** Stale queries are marked at most this often, so that a flood of events is one reload and not a thousand. */
const EVERY_MS = 500;

/** Keeps what is shown true: marks queries as stale as the live feed tells of changes. */
export function useLiveQueries(): void {
  const queryClient = useQueryClient();
  const stale = useMemo(
    () => makeThrottle<QueryKey>(EVERY_MS, (marked) => {
      for (const queryKey of marked) void queryClient.invalidateQueries({ queryKey });
    }),
    [queryClient],
  );
  useEffect(() => stale.stop, [stale]);
  useLive("jobs,activity,fleet,alarms", (event) => {
    if (event.type === "job.progressed") keepProgress(event.data);
    else if (event.type === "gap" && event.data.missed === "events") void queryClient.invalidateQueries();
    else for (const key of staleAfter(event)) stale.add(key);
  });
}

/** Returns the queries whose answers an event changed. */
export function staleAfter(event: FeedEvent): readonly QueryKey[] {
  if (event.type.startsWith("analysis.")) return [keys.tracks, keys.jobs, keys.workers];
  if (event.type.startsWith("track.") || event.type === "beats_updated") return [keys.tracks, keys.jobs, keys.workers];
  if (event.type.startsWith("deploy.")) return [keys.deployments, keys.devices, keys.tracks];
  if (event.type.startsWith("device.")) return [keys.devices];
  return [];
}
