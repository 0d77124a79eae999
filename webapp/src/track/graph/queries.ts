/** The queries of a version's graph. */
import { queryOptions } from "@tanstack/react-query";
import { api, unwrap, unwrapTagged } from "../../api/client";
import { ApiError } from "../../api/errors";
import { keys } from "../../api/queries";
import type { GraphDocument, NodeTypes } from "./model/document";

const path = (trackId: string, version: number) => ({ track_id: trackId, version });

/** The graph of a version with the ETag that saving needs. */
export const graphOf = (trackId: string, version: number) =>
  queryOptions({
    queryKey: [...keys.track(trackId), version, "graph"] as const,
    queryFn: ({ signal }) =>
      unwrapTagged(
        api.GET("/tracks/{track_id}/versions/{version}/graph", { params: { path: path(trackId, version) }, signal }),
      ),
  });

/** The graph as it was recommended; null where a person made the first one. */
export const recommendedGraph = (trackId: string, version: number) =>
  queryOptions({
    queryKey: [...keys.track(trackId), version, "graph recommended"] as const,
    staleTime: 300_000,
    queryFn: async ({ signal }): Promise<GraphDocument | null> => {
      const params = { path: path(trackId, version), query: { source: "recommended" as const } };
      try {
        return await unwrap(api.GET("/tracks/{track_id}/versions/{version}/graph", { params, signal }));
      } catch (error) {
        if (error instanceof ApiError && error.code === "graph_missing") return null;
        throw error;
      }
    },
  });

/** What saving a graph would mean, and every rule that it breaks. Nothing is saved. */
export const graphCheck = (trackId: string, version: number, graph: GraphDocument) =>
  queryOptions({
    queryKey: ["graph check", trackId, version, graph] as const,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    queryFn: ({ signal }) =>
      unwrap(
        api.POST("/tracks/{track_id}/versions/{version}/graph/validate", {
          params: { path: path(trackId, version) },
          body: { graph },
          signal,
        }),
      ),
  });

/** Every node type by its name; they change with the release only. */
export const nodeTypes = queryOptions({
  queryKey: ["graph", "nodes"] as const,
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async ({ signal }): Promise<NodeTypes> => {
    const { nodes } = await unwrap(api.GET("/graph/nodes", { signal }));
    return new Map(nodes.map((type) => [type.type, type]));
  },
});
