/** Finds the horizontal place of each slot: near its neighbours, in the order of its layer, without overlap. Pure. */
import type { Link, Slot } from "./layout";
import { neighbours } from "./ordering";

const GAP = 16;
const SWEEPS = 24;

/** Return the centre of each slot. */
export function placeLayers(layers: readonly (readonly Slot[])[], links: readonly Link[]): ReadonlyMap<string, number> {
  const above = neighbours(links, "lower", "upper");
  const below = neighbours(links, "upper", "lower");
  const centres = new Map<string, number>();
  for (const layer of layers) {
    const offsets = offsetsOf(layer);
    const middle = (offsets[offsets.length - 1] ?? 0) / 2;
    layer.forEach(({ key }, at) => centres.set(key, (offsets[at] ?? 0) - middle));
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isLast = sweep === SWEEPS - 1;
    for (const layer of sweep % 2 === 0 ? [...layers].reverse() : layers) {
      const wanted = layer.map(({ key }) => {
        const one = sweep % 2 === 0 ? (below.get(key) ?? []) : (above.get(key) ?? []);
        const near = isLast || one.length === 0 ? [...(above.get(key) ?? []), ...(below.get(key) ?? [])] : one;
        if (near.length === 0) return centres.get(key) ?? 0;
        return near.reduce((sum, each) => sum + (centres.get(each) ?? 0), 0) / near.length;
      });
      spread(layer, wanted).forEach((centre, at) => centres.set(layer[at]?.key ?? "", centre));
    }
  }
  return centres;
}

/** Return the centres that are nearest to the wanted ones (least squares) and leave the gap between neighbours. */
function spread(layer: readonly Slot[], wanted: readonly number[]): number[] {
  const offsets = offsetsOf(layer);
  // Without the offsets the centres only may not decrease: isotonic regression, by pooling neighbours that would.
  const pools: { sum: number; count: number }[] = [];
  wanted.forEach((value, at) => {
    let pool = { sum: value - (offsets[at] ?? 0), count: 1 };
    for (let last = pools[pools.length - 1]; last && last.sum / last.count > pool.sum / pool.count; last = pools[pools.length - 1]) {
      pools.pop();
      pool = { sum: last.sum + pool.sum, count: last.count + pool.count };
    }
    pools.push(pool);
  });
  const bases = pools.flatMap(({ sum, count }) => Array.from({ length: count }, () => sum / count));
  return bases.map((base, at) => base + (offsets[at] ?? 0));
}

/** Return how far the centre of each slot is from that of the first where the layer is packed. */
function offsetsOf(layer: readonly Slot[]): number[] {
  let at = 0;
  return layer.map(({ width }, index) => {
    const before = layer[index - 1];
    if (before) at += before.width / 2 + GAP + width / 2;
    return at;
  });
}
