import type { Schemas } from "../../api/types";

type Bundle = Schemas["RunningBundle"];

/** What a device says that it runs, against a deployment. What was ordered is never taken for it. */
export type Reported = "new" | "before" | "other" | "nothing" | "unknown";

/** Compares what a device last reported with the bundle of a deployment and with what it ran before. */
export function reportedState(running: Bundle | null | undefined, isKnown: boolean, bundle_sha256: string | null | undefined, before: Bundle | null | undefined): Reported {
  if (!isKnown) return "unknown";
  if (!running) return "nothing";
  if (running.bundle_sha256 === bundle_sha256) return "new";
  return running.bundle_sha256 === before?.bundle_sha256 ? "before" : "other";
}
