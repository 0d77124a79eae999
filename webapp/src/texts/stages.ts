const STAGES: Readonly<Record<string, string>> = {
  fetch: "Fetching the song",
  decode: "Decoding",
  features: "Measuring the sound",
  tonal: "Finding the key",
  waveform: "Drawing the waveform",
  loudness: "Measuring loudness",
  preview: "Finding first beats",
  network: "Finding beats",
  rhythm: "Finding bars",
  sections: "Finding sections",
  map: "Writing the map",
  graph: "Making the show",
  store: "Storing",
};

/** Returns what a person reads for a stage of the analysis. */
export function stageText(stage: string): string {
  return STAGES[stage] ?? stage.charAt(0).toUpperCase() + stage.slice(1);
}
