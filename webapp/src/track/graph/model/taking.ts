/** Takes single parts of the recommended graph back into an edited one. Pure. */
import type { GraphDocument, GraphNode, Value } from "./document";

/** Return the graph with the recommended node, or without one that was not recommended. */
export function takeNode(graph: GraphDocument, recommended: GraphDocument, id: string): GraphDocument {
  const wanted = recommended.nodes.find((node) => node.id === id);
  const nodes = graph.nodes.flatMap((node) => (node.id === id ? (wanted ?? []) : node));
  return { ...graph, nodes: wanted && !nodes.includes(wanted) ? [...nodes, wanted] : nodes };
}

/** Return the graph with the recommended value of a parameter. */
export function takeParam(graph: GraphDocument, recommended: GraphDocument, id: string, param: string): GraphDocument {
  return changeNode(graph, recommended, id, (node, wanted) => ({ ...node, params: withEntry<Value>(node.params, param, wanted.params?.[param]) }));
}

/** Return the graph with the recommended source of an input. */
export function takeInput(graph: GraphDocument, recommended: GraphDocument, id: string, port: string): GraphDocument {
  return changeNode(graph, recommended, id, (node, wanted) => ({ ...node, inputs: withEntry(node.inputs, port, wanted.inputs?.[port]) }));
}

function changeNode(
  graph: GraphDocument,
  recommended: GraphDocument,
  id: string,
  change: (node: GraphNode, wanted: GraphNode) => GraphNode,
): GraphDocument {
  const wanted = recommended.nodes.find((node) => node.id === id);
  return wanted ? { ...graph, nodes: graph.nodes.map((node) => (node.id === id ? change(node, wanted) : node)) } : graph;
}

/** Return a record with an entry, or without it where the value is undefined. */
function withEntry<Item>(record: Record<string, Item> | undefined, name: string, value: Item | undefined): Record<string, Item> {
  const rest = Object.entries(record ?? {}).filter(([key]) => key !== name);
  return Object.fromEntries(value === undefined ? rest : [...rest, [name, value]]);
}
