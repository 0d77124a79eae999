/** The tracks that a batch action concerns. Pure. */
export interface Selection {
  ids: ReadonlySet<string>;
  /** Where a range begins: the track that was clicked last. */
  anchor: string | undefined;
}

export const NOTHING: Selection = { ids: new Set(), anchor: undefined };

/** Selects a track, or takes it out. */
export function toggle({ ids }: Selection, id: string): Selection {
  const next = new Set(ids);
  if (!next.delete(id)) next.add(id);
  return { ids: next, anchor: id };
}

/** Selects everything from the anchor to the track, in the order of the list; without an anchor the track alone. */
export function extend({ ids, anchor }: Selection, id: string, order: readonly string[]): Selection {
  const from = anchor === undefined ? -1 : order.indexOf(anchor);
  const to = order.indexOf(id);
  if (from < 0 || to < 0) return { ids: new Set([...ids, id]), anchor: id };
  return { ids: new Set([...ids, ...order.slice(Math.min(from, to), Math.max(from, to) + 1)]), anchor };
}

/** Selects all of the tracks, or none where all are selected already. */
export function toggleAll({ ids, anchor }: Selection, all: readonly string[]): Selection {
  return all.length > 0 && all.every((id) => ids.has(id)) ? NOTHING : { ids: new Set([...ids, ...all]), anchor };
}
