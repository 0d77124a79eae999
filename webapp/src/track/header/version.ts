import type { Schemas } from "../../api/types";
import { beatChanges, graphChanges } from "../../texts/track/changes";
import { track as trackTexts } from "../../texts/track/track";

const t = trackTexts.header;

type Version = Pick<Schemas["VersionSummary"], "summary" | "job_id" | "edit">;

/** Return what made a version: the analysis, or what a person changed. The counts are absent in the past of a track. */
export function originOf({ summary, job_id, edit }: Version): string {
  if (job_id != null) return t.analysisOf;
  const isOverride = summary?.f_measure_reference === "override";
  if (edit == null) return isOverride ? t.edited : t.editedOtherwise;
  const graph = edit.graph ? graphChanges(edit.graph) : "";
  // An override without moved beats has other bars.
  const beats = isOverride ? beatChanges(edit.beats) || t.barsEdited : "";
  return [beats, graph].filter(Boolean).join(", ") || t.asAnalysed;
}
