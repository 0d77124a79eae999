import type { Schemas } from "../../api/types";
import { deployTexts } from "../../texts/fleet/deploy";

type Status = Schemas["DeploymentStatus"];
export type Control = "pause" | "resume" | "cancel" | "rollback";

export const CONTROLS: readonly Control[] = ["pause", "resume", "cancel", "rollback"];

/** States on the way to a success; in the others nothing but its end is awaited. */
const FORWARD: ReadonlySet<Status> = new Set(["queued", "checking", "staging", "activating", "observing", "committing"]);
const ENDED: ReadonlySet<Status> = new Set(["succeeded", "failed", "rolled_back", "cancelled"]);

const t = deployTexts.disabled;

/** Returns whether nothing more happens by itself. */
export function hasEnded(status: Status): boolean {
  return ENDED.has(status);
}

/** Returns why a control is not possible now, as a sentence; undefined where it is. The server has the last word. */
export function reasonNotTo(control: Control, status: Status, paused: boolean, mayOperate: boolean): string | undefined {
  if (!mayOperate) return t.role;
  if (status === "succeeded") return control === "rollback" ? undefined : t.succeeded;
  if (status === "rolling_back" || status === "rollback_pending") return t.rollingBack;
  if (status === "discarding") return t.discarding;
  if (!FORWARD.has(status)) return t.ended;
  if (control === "pause" && paused) return t.paused;
  if (control === "resume" && !paused) return t.notPaused;
  return undefined;
}
