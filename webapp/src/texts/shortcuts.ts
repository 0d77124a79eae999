import type { PageCommand } from "../app/shortcuts/pageKeys";

const page: Readonly<Record<PageCommand, string>> = {
  upload: "Upload songs",
  analyse: "Analyse the open track again",
  deploy: "Deploy the open track",
  recommend: "Apply the recommended graph to the open track",
  activity: "Go to the activity log",
  library: "Go to the library",
  search: "Search the library",
  help: "Show the keyboard shortcuts",
  palette: "Search everything",
};

/** The texts of the shortcuts and of the command palette. */
export const shortcuts = {
  page,
  title: "Keyboard shortcuts",
  text: "They never fire while you type.",
  on: "Use keyboard shortcuts",
  onHint: "In this browser",
  groups: { page: "Everywhere", library: "In the list of tracks", editor: "In the beat editor" },
  library: [
    ["↑ ↓", "Go from track to track; also J and K"],
    ["Enter", "Open the track"],
    ["Space", "Select or deselect"],
    ["Shift ↓", "Extend the selection"],
    ["F2", "Rename"],
    ["Del", "Delete, with Undo"],
    ["Home", "First track; End goes to the last"],
    ["Esc", "Clear the search"],
  ] as const,
  palette: {
    title: "Search everything",
    placeholder: "Track, page or command",
    none: "Nothing matches",
    groups: { tracks: "Tracks", pages: "Go to", commands: "Do", theme: "Theme" },
    themes: { dark: "Dark theme", light: "Light theme", system: "Theme of the system" },
  },
};
