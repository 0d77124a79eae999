import { matchPath } from "../app/router";

/** What the sheet opens with; the version is the current one where none is given. */
export interface DeployTarget {
  trackId: string;
  version?: number;
  deviceIds?: readonly string[];
}

/** Returns the track that an address shows, and the version of it. */
export function targetOf(path: string, search: URLSearchParams): DeployTarget | undefined {
  const trackId = matchPath("/tracks/:trackId/:tab?", path)?.["trackId"];
  const version = Number(search.get("v"));
  if (!trackId) return undefined;
  return version > 0 ? { trackId, version } : { trackId };
}

type Listener = (target: DeployTarget) => void;

const listeners = new Set<Listener>();

/** Opens the deploy sheet for a track, from anywhere in the page. */
export function openDeploy(target: DeployTarget): void {
  for (const listener of listeners) listener(target);
}

/** Calls the listener when somebody wants to deploy; returns how to stop it. */
export function onOpenDeploy(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
