import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { GraphDocument } from "./document";
import { LAYER_GAP, layOut, NODE_HEIGHT, NODE_WIDTH, type Link, type Slot } from "./layout";
import { countCrossings, orderLayers } from "./ordering";

const graph = (nodes: Record<string, string[]>): GraphDocument => ({
  name: "test",
  nodes: Object.entries(nodes).map(([id, sources]) => ({
    id,
    type: "Add",
    inputs: Object.fromEntries(sources.map((source, at) => [`in${at}`, source])),
  })),
});

/** Graphs in which each node reads some of those before it. */
const anyGraph = fc
  .array(fc.array(fc.nat(), { maxLength: 3 }), { maxLength: 25 })
  .map((reads) => graph(Object.fromEntries(reads.map((from, at) => [`n${at}`, at === 0 ? [] : [...new Set(from.map((each) => `n${each % at}`))]]))));

describe("layOut", () => {
  test("puts every reader below what it reads, without overlap", () => {
    fc.assert(
      fc.property(anyGraph, (drawn) => {
        const { nodes, edges, width, height } = layOut(drawn);
        const places = new Map(nodes.map((node) => [node.id, node]));
        expect(nodes).toHaveLength(drawn.nodes.length);
        for (const { from, to } of edges) expect(places.get(to)?.layer).toBeGreaterThan(places.get(from)?.layer ?? Infinity);
        for (const one of nodes) {
          expect(one.x).toBeGreaterThanOrEqual(0);
          expect(one.x + NODE_WIDTH).toBeLessThanOrEqual(width);
          expect(one.y + NODE_HEIGHT).toBeLessThanOrEqual(height);
          for (const other of nodes) {
            if (one === other || one.layer !== other.layer) continue;
            expect(Math.abs(one.x - other.x)).toBeGreaterThanOrEqual(NODE_WIDTH);
          }
        }
      }),
    );
  });

  test("keeps a source beside its reader and not at the top", () => {
    const { nodes } = layOut(graph({ a: [], b: ["a"], c: ["b", "late"], late: [], out: ["c"] }));
    const layers = Object.fromEntries(nodes.map(({ id, layer }) => [id, layer]));
    expect(layers).toEqual({ a: 0, b: 1, late: 1, c: 2, out: 3 });
  });

  test("draws a straight chain as a straight line", () => {
    const { nodes, edges } = layOut(graph({ a: [], b: ["a"], c: ["b.out"] }));
    expect(new Set(nodes.map(({ x }) => x)).size).toBe(1);
    expect(edges.map(({ from, output }) => [from, output])).toEqual([["a", null], ["b", "out"]]);
    expect((nodes[1]?.y ?? 0) - (nodes[0]?.y ?? 0)).toBe(NODE_HEIGHT + LAYER_GAP);
  });

  test("draws what an invalid graph has: circles, a node that reads itself, an unknown source, and nothing", () => {
    expect(layOut(graph({ a: ["b"], b: ["a"], c: ["c", "nobody"] })).nodes).toHaveLength(3);
    expect(layOut(graph({}))).toEqual({ nodes: [], edges: [], width: 12, height: 0 });
  });
});

test("orderLayers untangles what can be untangled", () => {
  const slots = (...keys: string[]): Slot[] => keys.map((key) => ({ key, width: 1 }));
  const layers = [slots("a", "b", "c"), slots("x", "y", "z")];
  const links: Link[] = [
    { upper: "a", lower: "z" },
    { upper: "b", lower: "y" },
    { upper: "c", lower: "x" },
  ];
  expect(countCrossings(layers, links)).toBe(3);
  expect(countCrossings(orderLayers(layers, links), links)).toBe(0);
});
