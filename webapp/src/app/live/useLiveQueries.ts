import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import { keys } from "../../api/queries";
import type { FeedEvent } from "../../api/types";
import { keepProgress } from "../../live/progress";
import { useLive } from "../../live/useLive";
import { makeThrottle } from "../../live/throttle";

/** Stale queries are marked at most this often, so that a flood of events is one reload and not a thousand. */
const EVERY_MS = 500;
/** The feed and the services that answer queries take an event at the same time. An answer may be from before the
 * event, and no other event would follow: so it is read again so much later. */
const AGAIN_MS = [2_000, 8_000] as const;

/** Keeps what is shown true: marks queries as stale as the live feed tells of changes. */
export function useLiveQueries(): void {
  const queryClient = useQueryClient();
  const stale = useMemo(
    () => makeThrottle<QueryKey>(EVERY_MS, (marked) => {
      for (const queryKey of marked) void queryClient.invalidateQueries({ queryKey });
    }),
    [queryClient],
  );
  const timers = useRef(new Set<ReturnType<typeof setTimeout>>());
  useEffect(() => {
    const waiting = timers.current;
    return () => {
      stale.stop();
      for (const timer of waiting) clearTimeout(timer);
      waiting.clear();
    };
  }, [stale]);
  const markAgain = (marked: readonly QueryKey[]): void => {
    for (const delay of AGAIN_MS) {
      const timer = setTimeout(() => {
        timers.current.delete(timer);
        for (const key of marked) stale.add(key);
      }, delay);
      timers.current.add(timer);
    }
  };
  useLive("jobs,activity,fleet,alarms", (event) => {
    if (event.type === "job.progressed") keepProgress(event.data);
    else if (event.type === "gap" && event.data.missed === "events") void queryClient.invalidateQueries();
    else {
      const marked = staleAfter(event);
      for (const key of marked) stale.add(key);
      if (marked.length > 0) markAgain(marked);
    }
  });
}

const CHANGES_TRACKS = ["track.", "artefact.", "graph.", "beats_updated"] as const;

/** Returns the queries whose answers an event changed. */
export function staleAfter(event: FeedEvent): readonly QueryKey[] {
  if (event.type.startsWith("analysis.")) return [keys.tracks, keys.jobs, keys.workers];
  if (CHANGES_TRACKS.some((area) => event.type.startsWith(area))) return [keys.tracks, keys.jobs, keys.workers];
  if (event.type.startsWith("deploy.")) return [keys.deployments, keys.devices, keys.tracks];
  if (event.type.startsWith("alarm.")) return [keys.alarms];
  if (event.type.startsWith("device.")) return [keys.devices];
  return [];
}
