import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { keys } from "../../api/queries";
import type { Schemas } from "../../api/types";
import { makeThrottle } from "../../live/throttle";
import { useLive } from "../../live/useLive";
import { deploymentView } from "../queries";
import { mergeChange } from "./merge";

/** The log and the counts come with a new reading, at most this often. */
const EVERY_MS = 700;
/** After these a device may report to run something else. */
const CHANGING_STEPS = new Set<Schemas["StepName"]>(["activate", "verify", "commit", "rollback"]);

/** Returns a deployment that follows the live feed. */
export function useDeployment(deploymentId: string) {
  const queryClient = useQueryClient();
  const queryKey = keys.deployment(deploymentId);
  const stale = useMemo(
    () => makeThrottle<readonly string[]>(EVERY_MS, (marked) => {
      for (const each of marked) void queryClient.invalidateQueries({ queryKey: each });
    }),
    [queryClient],
  );
  useEffect(() => stale.stop, [stale]);
  useLive(`deployment:${deploymentId}`, (event) => {
    if (event.type === "deployment.changed") {
      queryClient.setQueryData<Schemas["DeploymentView"]>(queryKey, (view) => view && mergeChange(view, event.data));
      if (event.data.step && CHANGING_STEPS.has(event.data.step.step)) stale.add(keys.devices);
    }
    stale.add(queryKey);
  });
  return useQuery(deploymentView(deploymentId));
}
