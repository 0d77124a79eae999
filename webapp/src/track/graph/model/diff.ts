/** Says what differs between two graphs, node by node, by id. Pure; the server's impact report has the same rules. */
import type { Schemas } from "../../../api/types";
import type { GraphDocument, GraphNode, NodeTypes, Value } from "./document";

export interface ParamChange {
  readonly node: string;
  readonly param: string;
  readonly from: Value;
  readonly to: Value;
}

export interface InputChange {
  readonly node: string;
  readonly port: string;
  readonly from: string | null;
  readonly to: string | null;
}

export interface GraphDiff {
  /** Nodes that only the new graph has. A node of another type counts as removed and added. */
  readonly added: readonly GraphNode[];
  readonly removed: readonly GraphNode[];
  readonly params: readonly ParamChange[];
  readonly inputs: readonly InputChange[];
}

/** Return what differs in `after` from `before`. A parameter that is not given has the default of its type. */
export function diffGraphs(before: GraphDocument, after: GraphDocument, types: NodeTypes): GraphDiff {
  const old = new Map(before.nodes.map((node) => [node.id, node]));
  const now = new Map(after.nodes.map((node) => [node.id, node]));
  const isKept = ({ id }: GraphNode): boolean => old.has(id) && old.get(id)?.type === now.get(id)?.type;
  const kept = after.nodes.filter(isKept).flatMap((node) => {
    const from = old.get(node.id);
    return from ? [[from, node] as const] : [];
  });
  return {
    added: after.nodes.filter((node) => !isKept(node)),
    removed: before.nodes.filter((node) => !isKept(node)),
    params: kept.flatMap(([from, to]) => paramChanges(from, to, types)),
    inputs: kept.flatMap(([from, to]) => inputChanges(from, to)),
  };
}

/** Tell whether two graphs do the same, whatever they say about themselves. */
export function sameGraph(one: GraphDocument, other: GraphDocument, types: NodeTypes): boolean {
  return one === other || (one.name === other.name && countChanges(diffGraphs(one, other, types)) === 0);
}

/** Return the number of changes. */
export function countChanges({ added, removed, params, inputs }: GraphDiff): number {
  return added.length + removed.length + params.length + inputs.length;
}

/** Return the number of changes of each kind, as the API counts them. */
export function countKinds({ added, removed, params, inputs }: GraphDiff): Schemas["GraphEditCounts"] {
  return {
    nodes_added: added.length,
    nodes_removed: removed.length,
    nodes_changed: new Set(params.map(({ node }) => node)).size,
    edges_added: inputs.filter(({ to }) => to !== null).length,
    edges_removed: inputs.filter(({ from }) => from !== null).length,
  };
}

/** Return the ids of the nodes of the new graph that differ: added ones, and those that were changed. */
export function changedNodes({ added, params, inputs }: GraphDiff): { added: ReadonlySet<string>; changed: ReadonlySet<string> } {
  return {
    added: new Set(added.map(({ id }) => id)),
    changed: new Set([...params, ...inputs].map(({ node }) => node)),
  };
}

/** Tell whether two JSON values are equal. */
export function sameValue(one: Value, other: Value): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function paramChanges(from: GraphNode, to: GraphNode, types: NodeTypes): ParamChange[] {
  const defaults = new Map(types.get(to.type)?.params.map((param) => [param.name, param.default]));
  const names = new Set([...Object.keys(from.params ?? {}), ...Object.keys(to.params ?? {})]);
  return [...names]
    .map((param) => ({
      node: to.id,
      param,
      from: from.params?.[param] ?? defaults.get(param),
      to: to.params?.[param] ?? defaults.get(param),
    }))
    .filter((change) => !sameValue(change.from, change.to));
}

function inputChanges(from: GraphNode, to: GraphNode): InputChange[] {
  const ports = new Set([...Object.keys(from.inputs ?? {}), ...Object.keys(to.inputs ?? {})]);
  return [...ports]
    .map((port) => ({ node: to.id, port, from: from.inputs?.[port] ?? null, to: to.inputs?.[port] ?? null }))
    .filter((change) => change.from !== change.to);
}
