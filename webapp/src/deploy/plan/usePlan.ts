import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { Schemas } from "../../api/types";
import { dryRun } from "../queries";

/** Typing a number shall not ask for a plan at each key: dry runs are limited. */
const PAUSE_MS = 450;

export interface PlanState {
  data: Schemas["DeploymentPlan"] | undefined;
  error: unknown;
  isFetching: boolean;
  /** Whether the plan is of the choices as they are now. */
  isCurrent: boolean;
  again: () => void;
}

/** Asks what a deployment would do, a moment after the last change of the choices. The last plan stays until then. */
export function usePlan(body: Schemas["DeploymentBody"], enabled: boolean): PlanState {
  const wanted = JSON.stringify(body);
  const [asked, setAsked] = useState("");
  useEffect(() => {
    if (!enabled) return undefined;
    const timer = setTimeout(() => setAsked(wanted), asked === "" ? 0 : PAUSE_MS);
    return () => clearTimeout(timer);
  }, [wanted, enabled, asked]);
  const isReady = enabled && asked !== "";
  const query = useQuery({
    ...dryRun(isReady ? (JSON.parse(asked) as Schemas["DeploymentBody"]) : body),
    enabled: isReady,
    placeholderData: (before) => before,
    refetchInterval: 15_000,
  });
  return {
    data: enabled ? query.data : undefined,
    error: query.error,
    isFetching: query.isFetching || asked !== wanted,
    isCurrent: asked === wanted && !query.isPlaceholderData && !query.isError,
    again: () => void query.refetch(),
  };
}
