/** The queries of one track's page. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, fetchApi, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";
import { decodePeaks } from "./beats/canvas/paint/peaks";
import { toSheet } from "./beats/sheet";

const path = (trackId: string, version: number) => ({ path: { track_id: trackId, version } });
const at = (trackId: string, version: number, part: string) => [...keys.track(trackId), version, part] as const;

/** The API takes lists as one parameter with commas. */
const LISTS = { array: { style: "form", explode: false } } as const;

/** The beats of a version as the editor needs them, with sections and alternatives. */
export const beatSheet = (trackId: string, version: number) =>
  queryOptions({
    queryKey: at(trackId, version, "beats"),
    queryFn: async ({ signal }) => {
      const [view, map] = await Promise.all([
        unwrap(
          api.GET("/tracks/{track_id}/versions/{version}/beat-override", { params: path(trackId, version), signal }),
        ),
        unwrap(
          api.GET("/tracks/{track_id}/versions/{version}/genesis", {
            params: { ...path(trackId, version), query: { layers: ["rhythm", "annotations"] } },
            querySerializer: LISTS,
            signal,
          }),
        ),
      ]);
      return toSheet(view, map);
    },
  });

/** The peaks of the waveform; they are those of the audio and the same for all versions. */
export const waveform = (trackId: string) =>
  queryOptions({
    queryKey: ["waveform", trackId],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const headers = { Accept: "application/octet-stream" };
      return decodePeaks(await (await fetchApi(`/tracks/${trackId}/waveform`, { signal, headers })).arrayBuffer());
    },
  });

/** Where devices lose the beat of a version. */
export const trackDrift = (trackId: string, version: number) =>
  queryOptions({
    queryKey: at(trackId, version, "drift"),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/tracks/{track_id}/drift", { params: { path: { track_id: trackId }, query: { version } }, signal })),
  });

/** A version with its metrics and its artefacts. */
export const versionDetail = (trackId: string, version: number) =>
  queryOptions({
    queryKey: at(trackId, version, "detail"),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/tracks/{track_id}/versions/{version}", { params: path(trackId, version), signal })),
  });

/** A track as it was at a time. */
export const trackAt = (trackId: string, time: string) =>
  queryOptions({
    queryKey: [...keys.track(trackId), "at", time] as const,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) =>
      unwrap(api.GET("/tracks/{track_id}", { params: { path: { track_id: trackId }, query: { at: time } }, signal })),
  });

/** What differs between a version and an earlier one. */
export const comparison = (trackId: string, version: number, before: number) =>
  queryOptions({
    queryKey: at(trackId, version, `compare-${before}`),
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/tracks/{track_id}/versions/{version}/compare", {
          params: { ...path(trackId, version), query: { with: before } },
          signal,
        }),
      ),
  });

export type ChartLayer = "frequency" | "dynamics" | "spectral";

/** A part of the map for charts, with at most so many points for each curve. */
export const chartLayers = (
  trackId: string,
  version: number,
  layers: readonly ChartLayer[],
  fromMs: number,
  toMs: number,
  maxPoints: number,
) =>
  queryOptions({
    queryKey: at(trackId, version, `chart ${layers.join()} ${fromMs} ${toMs} ${maxPoints}`),
    staleTime: 300_000,
    gcTime: 60_000,
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/tracks/{track_id}/versions/{version}/genesis", {
          params: {
            ...path(trackId, version),
            query: { layers: [...layers], from_ms: fromMs, to_ms: toMs, max_points: maxPoints },
          },
          querySerializer: LISTS,
          signal,
        }),
      ),
  });

/** The estimate of the show's bundle: how long a frame takes on a device. */
export const bundleView = (trackId: string, version: number) =>
  queryOptions({
    queryKey: at(trackId, version, "bundle"),
    retry: false,
    queryFn: ({ signal }) =>
      unwrap(api.GET("/tracks/{track_id}/versions/{version}/bundle", { params: path(trackId, version), signal })),
  });

/** The devices that report that they run a track; what they were ordered to run does not count. */
export const devicesOf = (trackId: string) =>
  queryOptions({
    queryKey: [...keys.devices, "running", trackId] as const,
    queryFn: async ({ signal }) => {
      const { items } = await unwrap(api.GET("/devices", { params: { query: { limit: 100 } }, signal }));
      return items.filter(({ running }) => running?.track_id === trackId);
    },
  });

/** The artefacts of a version with fresh addresses; small JSON is inline. */
export const artefacts = (trackId: string, version: number) =>
  queryOptions({
    queryKey: at(trackId, version, "artefacts"),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/tracks/{track_id}/versions/{version}/artefacts", { params: path(trackId, version), signal })),
  });

/** What happened to a track, newest first, page by page. */
export const trackHistory = (trackId: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.track(trackId), "history"] as const,
    initialPageParam: null as string | null,
    getNextPageParam: (page: Schemas["TrackHistory"]) => page.next_cursor ?? null,
    queryFn: ({ pageParam, signal }) => {
      const query = { limit: 50, ...(pageParam === null ? {} : { cursor: pageParam }) };
      return unwrap(api.GET("/tracks/{track_id}/history", { params: { path: { track_id: trackId }, query }, signal }));
    },
  });

/** The tracks that sound most like this one. */
export const similarTracks = (trackId: string) =>
  queryOptions({
    queryKey: [...keys.track(trackId), "similar"] as const,
    queryFn: ({ signal }) =>
      unwrap(
        api.GET("/tracks/{track_id}/similar", { params: { path: { track_id: trackId }, query: { limit: 8 } }, signal }),
      ),
  });

export type Version = Schemas["VersionSummary"];
