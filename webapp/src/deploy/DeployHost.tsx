import { Suspense, useEffect, useState } from "react";
import { part } from "../app/part";
import { onOpenDeploy, type DeployTarget } from "./openDeploy";

export const DeploySheet = part(() => import("./DeploySheet"));

/** The deploy sheet, over every page. */
export function DeployHost() {
  const [target, setTarget] = useState<DeployTarget>();
  useEffect(() => onOpenDeploy(setTarget), []);
  return target ? (
    <Suspense>
      <DeploySheet key={target.trackId} target={target} onClose={() => setTarget(undefined)} />
    </Suspense>
  ) : null;
}
