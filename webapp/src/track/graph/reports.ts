/** What is known about a graph: the simulation of it, and the rules that it breaks. */
import type { Schemas } from "../../api/types";
import type { GraphDocument } from "./model/document";

export type Violation = Schemas["Violation"];

/** The figures of a simulation. */
export interface Run {
  readonly scale: Schemas["ExecutorScale"];
  readonly visual: Schemas["VisualReport"];
  /** Where the picture of the whole show lies. */
  readonly previewUrl: string | null;
}

/** The result for a graph that may not be saved. */
export interface Trial {
  readonly graph: GraphDocument;
  /** Null where the graph breaks rules. */
  readonly run: Run | null;
  readonly violations: readonly Violation[];
}

type Artefact = Schemas["Artefact"];

/** Return the stored simulation of a version; null where there is none, as after an edit. */
export function storedRun(artefacts: readonly Artefact[]): Run | null {
  const scale = inlineOf<Schemas["ExecutorScale"]>(artefacts, "graph.executor.scale.json");
  const visual = inlineOf<Schemas["VisualReport"]>(artefacts, "visual.report.json");
  return scale && visual ? { scale, visual, previewUrl: previewOf(artefacts) } : null;
}

/** Return what the stored validation says; null where there is none. */
export function storedViolations(artefacts: readonly Artefact[]): readonly Violation[] | null {
  return inlineOf<Schemas["GraphValidation"]>(artefacts, "graph.validation.json")?.violations ?? null;
}

/** Return the figures of a simulation that just ran. */
export function runOf({ executor_scale, visual_report, artefacts }: Schemas["Simulated"]): Run {
  return { scale: executor_scale, visual: visual_report, previewUrl: previewOf(artefacts) };
}

function previewOf(artefacts: readonly Artefact[]): string | null {
  return artefacts.find(({ name, status }) => name === "preview.png" && status === "present")?.url ?? null;
}

/** Return a report that the answer holds inline. The API writes these files by the same schemas. */
function inlineOf<Report>(artefacts: readonly Artefact[], name: string): Report | null {
  const found = artefacts.find((each) => each.name === name && each.status === "present");
  return (found?.inline_json as Report | null | undefined) ?? null;
}
