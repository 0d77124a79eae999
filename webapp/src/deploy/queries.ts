import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";

const PAGE = 50;
/** The most that the API gives at once; the sheet chooses from all of them. */
const MOST_DEVICES = 1000;

/** All devices, with their presence and what they report to run. */
export const deviceList = queryOptions({
  queryKey: [...keys.devices, "list"],
  queryFn: async ({ signal }) => {
    const items: Schemas["DeviceView"][] = [];
    let cursor: string | null | undefined;
    do {
      const query = { limit: MOST_DEVICES, ...(cursor ? { cursor } : {}) };
      const page = await unwrap(api.GET("/devices", { params: { query }, signal }));
      items.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor);
    return items;
  },
});

/** The deployments, newest first, page by page; of one device where its id is given. */
export const deploymentPages = (deviceId?: string) =>
  infiniteQueryOptions({
    queryKey: [...keys.deployments, "list", deviceId ?? ""],
    initialPageParam: "",
    queryFn: ({ signal, pageParam }) => {
      const query = { limit: PAGE, ...(deviceId ? { device_id: deviceId } : {}), ...(pageParam ? { cursor: pageParam } : {}) };
      return unwrap(api.GET("/deployments", { params: { query }, signal }));
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

/** A deployment with the steps of each device, its log and its audit trail. */
export const deploymentView = (deploymentId: string) =>
  queryOptions({
    queryKey: keys.deployment(deploymentId),
    queryFn: ({ signal }) => unwrap(api.GET("/deployments/{deployment_id}", { params: { path: { deployment_id: deploymentId } }, signal })),
  });

/** The bundle of a version with the devices that could run it. */
export const bundleOf = (trackId: string, version: number) =>
  queryOptions({
    queryKey: [...keys.track(trackId), version, "bundle"],
    queryFn: ({ signal }) => unwrap(api.GET("/tracks/{track_id}/versions/{version}/bundle", { params: { path: { track_id: trackId, version } }, signal })),
    staleTime: 5_000,
    retry: false,
  });

/** What a deployment would do; nothing is changed. */
export const dryRun = (body: Schemas["DeploymentBody"]) =>
  queryOptions({
    queryKey: ["dry-run", body],
    queryFn: async ({ signal }) => (await unwrap(api.POST("/deployments", { params: {}, body: { ...body, dry_run: true }, signal }))) as Schemas["DeploymentPlan"],
    staleTime: 10_000,
    gcTime: 60_000,
    retry: false,
  });

/** Starts a deployment; the key makes a repeated request start nothing twice. */
export async function startDeployment(body: Schemas["DeploymentBody"], key: string): Promise<string> {
  const params = { header: { "Idempotency-Key": key } };
  const answer = await unwrap(api.POST("/deployments", { params, body }));
  if (!("deployment_id" in answer)) throw new Error("the answer names no deployment");
  return answer.deployment_id;
}
