import { lazy, type ComponentType, type LazyExoticComponent } from "react";
import { preloadTracks } from "../library/preload";

/** What a page gets: the fields of its address. */
export interface PageProps {
  fields: Record<string, string>;
}

export interface Route {
  pattern: string;
  page: LazyExoticComponent<ComponentType<PageProps>>;
  /** Loads the page, before it is shown. */
  load: () => unknown;
  /** Asks for what the page shows first. */
  ask: (() => void) | undefined;
}

type Module = Promise<{ default: ComponentType<PageProps> }>;

const route = (pattern: string, load: () => Module, ask?: () => void): Route => ({ pattern, page: lazy(load), load, ask });

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
  route("/", library, preloadTracks),
  route("/tracks/:trackId?/:tab?", library, preloadTracks),
  route("/devices/:deviceId?", () => import("../devices/DevicesPage")),
  route("/deployments/:deploymentId?", () => import("../deploy/DeploymentsPage")),
  route("/fleet", () => import("../fleet/FleetPage")),
  route("/alarms", () => import("../alarms/AlarmsPage")),
  route("/activity", () => import("../activity/ActivityPage")),
  route("/profile/:section?", () => import("../auth/ProfilePage")),
  route("/users", () => import("../auth/UsersPage")),
];
