/** Reads graphs: values of parameters, connections, and why the recommended graph looks as it does. Pure. */
import type { Schemas } from "../../../api/types";

export type GraphDocument = Schemas["GraphDocument"];
export type GraphNode = Schemas["GraphNode"];
export type NodeType = Schemas["NodeType"];
export type NodeParam = Schemas["NodeParam"];
export type Value = Schemas["JsonValue"];

/** The node types by name. */
export type NodeTypes = ReadonlyMap<string, NodeType>;

/** A connection: an output of one node that an input of another reads. */
export interface Edge {
  readonly from: string;
  readonly output: string | null;
  readonly to: string;
  readonly port: string;
}

/** Why the recommended graph looks as it does. */
export interface Reason {
  readonly text: string;
  readonly node: string | null;
  readonly timeMs: number | null;
}

/** What a recommendation says about itself. */
export interface Recommendation {
  readonly template: string;
  readonly preset: string;
  readonly confidence: number | null;
  readonly meaning: string;
  readonly reasons: readonly Reason[];
}

/** Return the value of a parameter, which is the default of the type where the node has none. */
export function valueOf(node: GraphNode, param: NodeParam): Value {
  return node.params?.[param.name] ?? param.default;
}

/** Return a graph in which one parameter has another value. */
export function withValue(graph: GraphDocument, nodeId: string, name: string, value: Value): GraphDocument {
  const change = (node: GraphNode): GraphNode =>
    node.id === nodeId ? { ...node, params: { ...node.params, [name]: value } } : node;
  return { ...graph, nodes: graph.nodes.map(change) };
}

/** Return all connections between nodes that are there. */
export function edgesOf({ nodes }: GraphDocument): readonly Edge[] {
  const ids = new Set(nodes.map(({ id }) => id));
  return nodes.flatMap(({ id, inputs }) =>
    Object.entries(inputs ?? {}).flatMap(([port, source]) => {
      const [from = "", output = null] = source.split(".", 2);
      return ids.has(from) ? [{ from, output, to: id, port }] : [];
    }),
  );
}

/** Return why a graph was recommended; null for one that says nothing about that. */
export function recommendationOf({ meta }: GraphDocument): Recommendation | null {
  if (!meta || !Array.isArray(meta["reasons"])) return null;
  const confidence = meta["confidence"];
  return {
    template: asText(meta["template"]),
    preset: asText(meta["preset"]),
    confidence: typeof confidence === "number" ? confidence : null,
    meaning: asText(meta["confidence_meaning"]),
    reasons: (meta["reasons"] as unknown[]).map(asReason).filter(({ text }) => text !== ""),
  };
}

function asReason(value: unknown): Reason {
  const { text, node, time_ms } = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  return {
    text: asText(text),
    node: typeof node === "string" ? node : null,
    timeMs: typeof time_ms === "number" ? time_ms : null,
  };
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Return a graph whose nodes have ids and types, which is what the page needs; null for anything else. */
export function asGraph(value: unknown): GraphDocument | null {
  if (typeof value !== "object" || value === null) return null;
  const { name, nodes } = value as Record<string, unknown>;
  if (typeof name !== "string" || !Array.isArray(nodes)) return null;
  const isNode = (node: unknown): boolean =>
    typeof node === "object" && node !== null && typeof (node as GraphNode).id === "string" && typeof (node as GraphNode).type === "string";
  return nodes.every(isNode) ? (value as GraphDocument) : null;
}
