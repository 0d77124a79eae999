/** Places the nodes of a graph in layers from the sources at the top to the output at the bottom. Pure. */
import { edgesOf, type Edge, type GraphDocument } from "./document";
import { orderLayers } from "./ordering";
import { placeLayers } from "./placing";

export const NODE_WIDTH = 152;
export const NODE_HEIGHT = 58;
export const LAYER_GAP = 34;
const MARGIN = 12;

export interface PlacedNode {
  readonly id: string;
  readonly layer: number;
  /** The left and the top edge. */
  readonly x: number;
  readonly y: number;
}

export interface PlacedEdge extends Edge {
  /** An SVG path. */
  readonly path: string;
}

export interface GraphLayout {
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
  readonly width: number;
  readonly height: number;
}

/** A node, or the place at which a long edge crosses a layer. */
export interface Slot {
  readonly key: string;
  readonly width: number;
}

export interface Link {
  /** Keys of slots; `upper` is one layer above `lower`. */
  readonly upper: string;
  readonly lower: string;
}

const BEND_WIDTH = 12;

/** Return where everything stands. Circles, which only an invalid graph has, are drawn as well. */
export function layOut(graph: GraphDocument): GraphLayout {
  const edges = edgesOf(graph);
  const layerOf = assignLayers(graph, edges);
  const count = Math.max(0, ...layerOf.values()) + 1;
  const layers: Slot[][] = Array.from({ length: graph.nodes.length === 0 ? 0 : count }, () => []);
  for (const { id } of graph.nodes) layers[layerOf.get(id) ?? 0]?.push({ key: id, width: NODE_WIDTH });
  const links: Link[] = [];
  const bends = new Map<Edge, string[]>();
  for (const edge of edges) bends.set(edge, addBends(edge, layerOf, layers, links));

  const ordered = orderLayers(layers, links);
  const centres = placeLayers(ordered, links);
  const left = Math.min(0, ...graph.nodes.map(({ id }) => (centres.get(id) ?? 0) - NODE_WIDTH / 2));
  const xOf = (key: string): number => (centres.get(key) ?? 0) - left + MARGIN;
  const yOf = (layer: number): number => MARGIN + layer * (NODE_HEIGHT + LAYER_GAP);
  const nodes = graph.nodes.map(({ id }) => {
    const layer = layerOf.get(id) ?? 0;
    return { id, layer, x: xOf(id) - NODE_WIDTH / 2, y: yOf(layer) };
  });
  const placed = edges.map((edge): PlacedEdge => {
    const from = layerOf.get(edge.from) ?? 0;
    const middle = (bends.get(edge) ?? []).map((key, index) => ({ x: xOf(key), y: yOf(from + 1 + index) }));
    const end = { x: xOf(edge.to) + portOffset(edge, edges), y: yOf(layerOf.get(edge.to) ?? 0) };
    return { ...edge, path: pathOf({ x: xOf(edge.from), y: yOf(from) + NODE_HEIGHT }, middle, end) };
  });
  return {
    nodes,
    edges: placed,
    width: Math.max(0, ...nodes.map(({ x }) => x + NODE_WIDTH)) + MARGIN,
    height: layers.length === 0 ? 0 : yOf(layers.length - 1) + NODE_HEIGHT + MARGIN,
  };
}

/** Return the layer of each node: as near to its readers as they allow, so that edges are short. */
function assignLayers({ nodes }: GraphDocument, edges: readonly Edge[]): ReadonlyMap<string, number> {
  const readers = new Map<string, string[]>();
  for (const { from, to } of edges) readers.set(from, [...(readers.get(from) ?? []), to]);
  const distances = new Map<string, number>();
  const distance = (id: string, way: ReadonlySet<string>): number => {
    const known = distances.get(id);
    if (known !== undefined) return known;
    const next = (readers.get(id) ?? []).filter((reader) => !way.has(reader));
    const found = Math.max(-1, ...next.map((reader) => distance(reader, new Set([...way, reader])))) + 1;
    distances.set(id, found);
    return found;
  };
  const all = nodes.map(({ id }) => [id, distance(id, new Set([id]))] as const);
  const deepest = Math.max(0, ...all.map(([, depth]) => depth));
  return new Map(all.map(([id, depth]) => [id, deepest - depth]));
}

/** Add a slot for each layer that an edge crosses; return their keys from top to bottom. */
function addBends(edge: Edge, layerOf: ReadonlyMap<string, number>, layers: Slot[][], links: Link[]): string[] {
  const [from, to] = [layerOf.get(edge.from) ?? 0, layerOf.get(edge.to) ?? 0];
  const keys: string[] = [];
  for (let layer = from + 1; layer < to; layer += 1) {
    const key = `${edge.from}>${edge.to}.${edge.port}@${layer}`;
    layers[layer]?.push({ key, width: BEND_WIDTH });
    keys.push(key);
  }
  if (to > from) {
    const way = [edge.from, ...keys, edge.to];
    for (let at = 1; at < way.length; at += 1) links.push({ upper: way[at - 1] ?? "", lower: way[at] ?? "" });
  }
  return keys;
}

/** Return how far from the centre of a node an edge ends: its inputs are spread over its upper side. */
function portOffset(edge: Edge, edges: readonly Edge[]): number {
  const ports = edges.filter(({ to }) => to === edge.to);
  const step = Math.min(24, (NODE_WIDTH - 24) / Math.max(1, ports.length));
  return (ports.indexOf(edge) - (ports.length - 1) / 2) * step;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

function pathOf(start: Point, middle: readonly Point[], end: Point): string {
  let path = `M${round(start.x)} ${round(start.y)}`;
  let at = start;
  const curveTo = (to: Point): void => {
    const half = (to.y - at.y) / 2;
    path += `C${round(at.x)} ${round(at.y + half)} ${round(to.x)} ${round(to.y - half)} ${round(to.x)} ${round(to.y)}`;
    at = to;
  };
  for (const { x, y } of middle) {
    curveTo({ x, y });
    at = { x, y: y + NODE_HEIGHT };
    path += `V${round(at.y)}`;
  }
  curveTo(end);
  return path;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
