const STAGES: Readonly<Record<string, string>> = {
  fetch: "Fetching the song",
  listen: "Listening",
  preview: "First beats found",
  beats: "Finding beats",
  rhythm: "Finding bars",
  sections: "Finding sections",
  map: "Writing the map",
  done: "Map written",
  graph: "Making the show",
  store: "Storing",
};

/** Returns what a person reads for a stage of the analysis. */
export function stageText(stage: string): string {
  return STAGES[stage] ?? stage.charAt(0).toUpperCase() + stage.slice(1);
}
