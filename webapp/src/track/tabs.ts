/** Names the tabs of a track's page, as they stand in its address. */

export const TAB_IDS = ["beats", "charts", "drift", "graph", "artefacts", "notes", "history", "similar"] as const;
export type TabId = (typeof TAB_IDS)[number];

/** Return the tab of an address; the first one where it names none. */
export function tabOf(name: string | undefined): TabId {
  return TAB_IDS.find((id) => id === name) ?? "beats";
}
