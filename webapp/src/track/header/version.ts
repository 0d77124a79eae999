import type { Schemas } from "../../api/types";

/** Tell whether a person set the beats of a version. */
export function isEdited({ summary }: Pick<Schemas["VersionSummary"], "summary">): boolean {
  return summary?.f_measure_reference === "override";
}
