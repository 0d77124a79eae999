/** Orders the slots of each layer so that few edges cross: the barycentre method. Pure. */
import type { Link, Slot } from "./layout";

const SWEEPS = 12;

/** Return the layers in the order with the fewest crossings that was found. */
export function orderLayers(layers: readonly (readonly Slot[])[], links: readonly Link[]): readonly (readonly Slot[])[] {
  const above = neighbours(links, "lower", "upper");
  const below = neighbours(links, "upper", "lower");
  let current = layers.map((layer) => [...layer]);
  let best = current;
  let fewest = countCrossings(current, links);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep += 1) {
    const isDown = sweep % 2 === 1;
    current = isDown ? sortAll(current, above) : sortAll([...current].reverse(), below).reverse();
    const crossings = countCrossings(current, links);
    if (crossings < fewest) {
      fewest = crossings;
      best = current;
    }
  }
  return best;
}

/** Return how often edges cross. */
export function countCrossings(layers: readonly (readonly Slot[])[], links: readonly Link[]): number {
  const place = new Map(layers.flatMap((layer, depth) => layer.map(({ key }, at) => [key, { depth, at }] as const)));
  const lines = links.flatMap(({ upper, lower }) => {
    const [top, bottom] = [place.get(upper), place.get(lower)];
    return top && bottom ? [{ depth: top.depth, top: top.at, bottom: bottom.at }] : [];
  });
  let count = 0;
  lines.forEach((one, index) => {
    for (const other of lines.slice(index + 1)) {
      if (one.depth === other.depth && (one.top - other.top) * (one.bottom - other.bottom) < 0) count += 1;
    }
  });
  return count;
}

/** Return the neighbours of each slot in the layer beside it. */
export function neighbours(links: readonly Link[], of: keyof Link, other: keyof Link): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const link of links) found.set(link[of], [...(found.get(link[of]) ?? []), link[other]]);
  return found;
}

/** Sort each layer but the first by the mean place of its neighbours in the layer before. */
function sortAll(layers: readonly Slot[][], near: ReadonlyMap<string, readonly string[]>): Slot[][] {
  const sorted: Slot[][] = [];
  for (const layer of layers) {
    const before = new Map(sorted[sorted.length - 1]?.map(({ key }, at) => [key, at]));
    const weights = new Map(
      layer.map(({ key }, at) => {
        const places = (near.get(key) ?? []).flatMap((each) => before.get(each) ?? []);
        return [key, places.length === 0 ? at : places.reduce((sum, each) => sum + each, 0) / places.length];
      }),
    );
    sorted.push([...layer].sort((one, other) => (weights.get(one.key) ?? 0) - (weights.get(other.key) ?? 0)));
  }
  return sorted;
}
