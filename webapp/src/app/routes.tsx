import type { ComponentType } from "react";
import { preloadLibrary } from "../library/list/preload";
import { part, type Part } from "./part";
import { matchPath } from "./router";

/** What a page gets: the fields of its address. */
export interface PageProps {
  fields: Record<string, string>;
}

export interface Route {
  pattern: string;
  page: Part<PageProps>;
  /** Asks for what the page shows first, beside its code. */
  ask: ((fields: Record<string, string>) => void) | undefined;
}

type Module = Promise<{ default: ComponentType<PageProps> }>;

const route = (pattern: string, load: () => Module, ask?: Route["ask"]): Route => ({ pattern, page: part(load), ask });

/** Pages for people who are not signed in. */
export const PUBLIC_ROUTES: readonly Route[] = [
  route("/sign-in", () => import("../auth/SignInPage")),
  route("/register", () => import("../auth/RegisterPage")),
  route("/reset", () => import("../auth/ResetPage")),
  route("/verify", () => import("../auth/VerifyPage")),
  route("/accept", () => import("../auth/AcceptPage")),
];

const library = () => import("../library/LibraryPage");

/** Pages inside the app shell. The library shows a track beside its list, and by itself on a phone. */
export const ROUTES: readonly Route[] = [
  route("/", library, preloadLibrary),
  route("/tracks/:trackId?/:tab?", library, preloadLibrary),
  route("/devices/:deviceId?", () => import("../devices/DevicesPage")),
  route("/deployments/:deploymentId?", () => import("../deploy/DeploymentsPage")),
  route("/fleet", () => import("../fleet/FleetPage")),
  route("/alarms", () => import("../alarms/AlarmsPage")),
  route("/activity", () => import("../activity/ActivityPage")),
  route("/profile/:section?", () => import("../auth/ProfilePage")),
  route("/users", () => import("../auth/UsersPage")),
];

/** Returns the route of a path and the fields of its pattern, or undefined where none matches. */
export function findRoute(routes: readonly Route[], path: string): { route: Route; fields: Record<string, string> } | undefined {
  for (const route of routes) {
    const fields = matchPath(route.pattern, path);
    if (fields) return { route, fields };
  }
  return undefined;
}
