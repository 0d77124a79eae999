import type { Schemas } from "../../api/types";
import { track as trackTexts } from "../../texts/track";

const t = trackTexts.header;

type Version = Pick<Schemas["VersionSummary"], "summary" | "job_id">;

/** Return what made a version: the analysis, or a person who set its beats or edited something else. */
export function originOf({ summary, job_id }: Version): string {
  if (summary?.f_measure_reference === "override") return t.edited;
  return job_id == null ? t.editedOtherwise : t.analysisOf;
}
