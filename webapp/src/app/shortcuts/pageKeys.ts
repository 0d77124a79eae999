/** What keys do on every page. Those of the beat editor are in `track/beats/keys.ts`. */
export type PageCommand = "upload" | "analyse" | "deploy" | "recommend" | "activity" | "library" | "search" | "help" | "palette";

/** The keys as a person reads them; Mod is Ctrl, or Command on a Mac. */
export const PAGE_KEYS: Readonly<Record<PageCommand, string>> = {
  upload: "U",
  analyse: "A",
  deploy: "D",
  recommend: "R",
  activity: "L",
  library: "H",
  search: "/",
  help: "?",
  palette: "Mod K",
};

const BY_KEY = new Map(Object.entries(PAGE_KEYS).map(([command, key]) => [key.toLowerCase(), command as PageCommand]));

export type KeyPress = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">;

/** Returns the command of a key press, or undefined where it has none. */
export function pageCommandOf({ key, ctrlKey, metaKey, altKey }: KeyPress): PageCommand | undefined {
  if (altKey) return undefined;
  return BY_KEY.get(ctrlKey || metaKey ? `mod ${key.toLowerCase()}` : key.toLowerCase());
}

/** Returns keys as this computer names them. */
export function nameKeys(keys: string, isMac: boolean): string[] {
  return keys.split(" ").map((key) => (key === "Mod" ? (isMac ? "⌘" : "Ctrl") : key));
}

/** Returns whether this computer has a Command key. */
export function isMac(): boolean {
  return navigator.userAgent.includes("Mac OS");
}
