import type { Schemas } from "../../api/types";

/** Says in a few words what was edited: how many of what were changed, added and removed. */

type Counts = readonly (readonly [count: number, verb: string])[];

function list(one: string, many: string, counts: Counts): string {
  return counts
    .filter(([count]) => count > 0)
    .map(([count, verb], index) => (index === 0 ? `${count} ${count === 1 ? one : many} ${verb}` : `${count} ${verb}`))
    .join(", ");
}

/** Returns for example `12 beats moved, 2 added`; nothing where the beats are the same. */
export function beatChanges({ moved, added, removed }: Schemas["BeatEditCounts"]): string {
  return list("beat", "beats", [[moved, "moved"], [added, "added"], [removed, "removed"]]);
}

/** Returns for example `3 nodes changed, 1 edge added`; nothing where the graphs are the same. */
export function graphChanges(counts: Schemas["GraphEditCounts"]): string {
  const nodes = list("node", "nodes", [[counts.nodes_changed, "changed"], [counts.nodes_added, "added"], [counts.nodes_removed, "removed"]]);
  const edges = list("edge", "edges", [[counts.edges_added, "added"], [counts.edges_removed, "removed"]]);
  return [nodes, edges].filter(Boolean).join(", ");
}
