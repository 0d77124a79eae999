import { queryOptions, QueryClient, useQuery } from "@tanstack/react-query";
import { api, unwrap, unwrapTagged } from "./client";
import { ApiError } from "./errors";
import type { paths } from "./schema";

/** The client of all queries. What the live feed tells marks queries as stale, so nothing is polled. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      // The feed does not tell of every change, for example not of a new title: who comes back sees it.
      refetchOnWindowFocus: true,
      retry: (count, error) => count < 2 && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500),
    },
  },
});

export type TrackListQuery = NonNullable<paths["/tracks"]["get"]["parameters"]["query"]>;

/** The keys of all queries, from the general to the special, so that one call marks a whole area as stale. */
export const keys = {
  tracks: ["tracks"] as const,
  trackList: (query: TrackListQuery) => ["tracks", "list", query] as const,
  track: (trackId: string) => ["tracks", "one", trackId] as const,
  jobs: ["jobs"] as const,
  workers: ["workers"] as const,
  presets: ["presets"] as const,
  devices: ["devices"] as const,
  device: (deviceId: string) => ["devices", "one", deviceId] as const,
  deployments: ["deployments"] as const,
  alarms: ["alarms"] as const,
  fleet: ["fleet"] as const,
  deployment: (deploymentId: string) => ["deployments", "one", deploymentId] as const,
};

/** A page of the library. */
export const trackPage = (query: TrackListQuery) =>
  queryOptions({
    queryKey: keys.trackList(query),
    queryFn: ({ signal }) => unwrap(api.GET("/tracks", { params: { query }, signal })),
  });

/** A track with its versions, and the ETag that a change of it needs. */
export const trackDetail = (trackId: string) =>
  queryOptions({
    queryKey: keys.track(trackId),
    queryFn: ({ signal }) =>
      unwrapTagged(api.GET("/tracks/{track_id}", { params: { path: { track_id: trackId } }, signal })),
  });

/** The pool of analysis workers and its queue. */
export const workers = queryOptions({
  queryKey: keys.workers,
  queryFn: ({ signal }) => unwrap(api.GET("/analysis/workers", { signal })),
});

/** The presets of the analysis. */
export const presets = queryOptions({
  queryKey: keys.presets,
  queryFn: ({ signal }) => unwrap(api.GET("/presets", { signal })),
  staleTime: Number.POSITIVE_INFINITY,
});

/** Returns a track: `data` is `{ data: TrackDetail, etag }`. */
export function useTrack(trackId: string) {
  return useQuery(trackDetail(trackId));
}

/** The latest analysis of a track, or null where there was none. */
export const latestJob = (trackId: string) =>
  queryOptions({
    queryKey: [...keys.jobs, "latest", trackId],
    queryFn: async ({ signal }) => {
      const query = { track_id: trackId, limit: 1 };
      return (await unwrap(api.GET("/analysis/jobs", { params: { query }, signal }))).items[0] ?? null;
    },
  });
