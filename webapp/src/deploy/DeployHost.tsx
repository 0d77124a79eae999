import { lazy, Suspense, useEffect, useState } from "react";
import { matchPath, useSearch, usePath } from "../app/router";
import { onOpenDeploy, openDeploy, type DeployTarget } from "./openDeploy";

const DeploySheet = lazy(() => import("./DeploySheet"));

/** The deploy sheet, over every page; D opens it for the open track. */
export function DeployHost() {
  const [target, setTarget] = useState<DeployTarget>();
  useEffect(() => onOpenDeploy(setTarget), []);
  const open = useOpenTrack();
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "d" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target) || !open) return;
      event.preventDefault();
      openDeploy(open);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [open]);
  return target ? (
    <Suspense>
      <DeploySheet key={target.trackId} target={target} onClose={() => setTarget(undefined)} />
    </Suspense>
  ) : null;
}

/** Returns the track that is open, and the version that is shown of it. */
export function useOpenTrack(): DeployTarget | undefined {
  const trackId = matchPath("/tracks/:trackId/:tab?", usePath())?.["trackId"];
  const version = Number(useSearch().get("v"));
  if (!trackId) return undefined;
  return version > 0 ? { trackId, version } : { trackId };
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.closest("input, textarea, select, [role=dialog], [role=menu]") !== null);
}
