/** Estimates what a frame of a graph costs on a device, from the costs that the node types state. Pure. */
import type { GraphDocument, GraphNode, NodeType, NodeTypes } from "./document";

/** The time that a device has for a frame. */
export const BUDGET_MS = 8;

export interface NodeCost {
  readonly node: string;
  readonly type: string;
  readonly us: number;
}

/** Return the microseconds that a node takes in each frame. */
export function costOf(node: GraphNode, type: NodeType | undefined): number {
  if (!type) return 0;
  if (!type.cost_per) return type.cost_us;
  const given = node.params?.[type.cost_per] ?? type.params.find(({ name }) => name === type.cost_per)?.default;
  return type.cost_us * (typeof given === "number" ? given : 1);
}

/** Return the cost of each node, the most expensive first. */
export function costsOf({ nodes }: GraphDocument, types: NodeTypes): readonly NodeCost[] {
  return nodes
    .map((node) => ({ node: node.id, type: node.type, us: costOf(node, types.get(node.type)) }))
    .sort((one, other) => other.us - one.us);
}

/** Return the milliseconds of a frame: a device renders on one core, so the nodes' times add up. */
export function totalMs(costs: readonly NodeCost[]): number {
  return costs.reduce((sum, { us }) => sum + us, 0) / 1000;
}
