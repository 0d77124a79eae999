import { describe, expect, test } from "vitest";
import { costsOf, totalMs } from "./cost";
import { changedNodes, countChanges, diffGraphs, sameGraph } from "./diff";
import { asGraph, recommendationOf, withValue, type GraphDocument, type NodeParam, type NodeType, type NodeTypes } from "./document";
import { openHistory, reduceHistory } from "./history";
import { fromHex, fromPlace, parseNumber, parseNumbers, rangeOf, toHex, toPlace } from "./ranges";
import { takeInput, takeNode, takeParam } from "./taking";

const param = (changes: Partial<NodeParam>): NodeParam => ({
  name: "p",
  kind: "float",
  default: 0,
  about: "",
  min: 0,
  max: 1,
  unit: "",
  choices: [],
  min_items: 0,
  max_items: 0,
  ...changes,
});

const type = (name: string, cost_us: number, params: NodeParam[], cost_per: string | null = null): NodeType => ({
  type: name,
  group: "",
  about: "",
  behaviour: "pure",
  cost_us,
  cost_per,
  cost_source: "design",
  state_bytes: 0,
  state_per: null,
  state_allowed: false,
  microphone: false,
  inputs: [],
  outputs: [],
  params,
});

const TYPES: NodeTypes = new Map([
  ["Pulse", type("Pulse", 3, [param({ name: "decay", default: 200, min: 10, max: 10_000 })])],
  ["Blur", type("Blur", 100, [param({ name: "radius", kind: "int", default: 1, min: 1, max: 5 })], "radius")],
  ["Fill", type("Fill", 75, [])],
]);

const RECOMMENDED: GraphDocument = {
  name: "show",
  nodes: [
    { id: "pulse", type: "Pulse" },
    { id: "fill", type: "Fill", inputs: { color: "pulse" } },
    { id: "blur", type: "Blur", inputs: { src: "fill" }, params: { radius: 2 } },
  ],
};

const EDITED: GraphDocument = {
  name: "show",
  meta: { reasons: [] },
  nodes: [
    { id: "pulse", type: "Pulse", params: { decay: 500 } },
    { id: "fill", type: "Blur", inputs: { color: "pulse" } },
    { id: "blur", type: "Blur", inputs: { src: "pulse" }, params: { radius: 2 } },
    { id: "more", type: "Fill" },
  ],
};

describe("diffGraphs", () => {
  test("names added, removed and changed; another type is removed and added", () => {
    const diff = diffGraphs(RECOMMENDED, EDITED, TYPES);
    expect(diff.added.map(({ id }) => id)).toEqual(["fill", "more"]);
    expect(diff.removed.map(({ id }) => id)).toEqual(["fill"]);
    expect(diff.params).toEqual([{ node: "pulse", param: "decay", from: 200, to: 500 }]);
    expect(diff.inputs).toEqual([{ node: "blur", port: "src", from: "fill", to: "pulse" }]);
    expect(countChanges(diff)).toBe(5);
    expect([...changedNodes(diff).changed]).toEqual(["pulse", "blur"]);
  });

  test("takes a value that is not given for the default, and does not mind what a graph says about itself", () => {
    const same = { ...withValue(RECOMMENDED, "pulse", "decay", 200), meta: { reasons: [] } };
    expect(sameGraph(RECOMMENDED, same, TYPES)).toBe(true);
    expect(sameGraph(RECOMMENDED, { ...RECOMMENDED, name: "other" }, TYPES)).toBe(false);
  });

  test("every change can be taken back by itself, and then nothing differs", () => {
    let graph = takeNode(takeNode(EDITED, RECOMMENDED, "fill"), RECOMMENDED, "more");
    expect(diffGraphs(RECOMMENDED, graph, TYPES)).toMatchObject({ added: [], removed: [] });
    graph = takeInput(takeParam(graph, RECOMMENDED, "pulse", "decay"), RECOMMENDED, "blur", "src");
    expect(sameGraph(RECOMMENDED, graph, TYPES)).toBe(true);
    const without = { ...RECOMMENDED, nodes: RECOMMENDED.nodes.slice(0, 2) };
    expect(sameGraph(takeNode(without, RECOMMENDED, "blur"), RECOMMENDED, TYPES)).toBe(true);
  });
});

describe("reduceHistory", () => {
  const set = (graph: GraphDocument, decay: number): GraphDocument => withValue(graph, "pulse", "decay", decay);

  test("one drag of a slider is one step; the next drag is another", () => {
    let state = openHistory(RECOMMENDED, "a");
    for (const decay of [210, 220, 230]) state = reduceHistory(state, { type: "edit", graph: set(state.present, decay), subject: "pulse.decay" });
    state = reduceHistory(state, { type: "finish" });
    state = reduceHistory(state, { type: "edit", graph: set(state.present, 240), subject: "pulse.decay" });
    expect(state.past).toHaveLength(2);
    state = reduceHistory(state, { type: "undo" });
    expect(state.present.nodes[0]?.params).toEqual({ decay: 230 });
    state = reduceHistory(state, { type: "undo" });
    expect(state.present).toBe(RECOMMENDED);
    state = reduceHistory(reduceHistory(state, { type: "redo" }), { type: "redo" });
    expect(state.present.nodes[0]?.params).toEqual({ decay: 240 });
    expect(reduceHistory(state, { type: "redo" })).toBe(state);
  });

  test("saving keeps the steps, another person's graph replaces them", () => {
    let state = reduceHistory(openHistory(RECOMMENDED, "a"), { type: "edit", graph: EDITED, subject: null });
    state = reduceHistory(state, { type: "saved", graph: EDITED, etag: "b" });
    expect([state.saved, state.etag, state.past.length]).toEqual([EDITED, "b", 1]);
    expect(reduceHistory(state, { type: "load", graph: RECOMMENDED, etag: "c" })).toEqual(openHistory(RECOMMENDED, "c"));
  });
});

test("a node costs what its type states, times the parameter that the type names", () => {
  const costs = costsOf(RECOMMENDED, TYPES);
  expect(costs.map(({ node, us }) => [node, us])).toEqual([["blur", 200], ["fill", 75], ["pulse", 3]]);
  expect(totalMs(costs)).toBeCloseTo(0.278);
});

describe("ranges", () => {
  test("a slider reaches both ends, by factors where the range spans powers of ten", () => {
    const wide = rangeOf(param({ min: 10, max: 10_000 }));
    if (!wide) throw new Error("there is a range");
    expect(wide.isLogarithmic).toBe(true);
    expect([0, 0.5, 1].map((place) => fromPlace(wide, place, false))).toEqual([10, 316, 10_000]);
    expect(toPlace(wide, fromPlace(wide, 0.3, false))).toBeCloseTo(0.3, 2);
    expect(fromPlace({ min: 1, max: 5, isLogarithmic: false }, 0.4, true)).toBe(3);
    expect(rangeOf(param({ min: -1e6, max: 1e6 }))).toBeNull();
  });

  test("what is typed counts only within the range", () => {
    expect(["0,5", " 1 ", "2", "-1", "x", ""].map((text) => parseNumber(param({}), text))).toEqual([0.5, 1, null, null, null, null]);
    expect(parseNumber(param({ kind: "int", max: 5 }), "1.5")).toBeNull();
    const dots = param({ kind: "ints", max: 179, min_items: 1, max_items: 3 });
    expect(["0 90, 179", "", "180", "1 2 3 4"].map((text) => parseNumbers(dots, text))).toEqual([[0, 90, 179], null, null, null]);
  });

  test("colours keep their value on the way through a colour field", () => {
    expect(toHex([0, 0.502, 1])).toBe("#0080ff");
    expect(toHex(fromHex("#17b3e9"))).toBe("#17b3e9");
  });
});

test("a recommendation is read with reasons, nodes and times; what is no graph is none", () => {
  const meta = { template: "edm", preset: "edm", confidence: 0.9, reasons: [{ text: "loud", node: "bass", time_ms: 7 }, { text: "calm" }, 5] };
  expect(recommendationOf({ name: "x", nodes: [], meta })).toEqual({
    template: "edm",
    preset: "edm",
    confidence: 0.9,
    meaning: "",
    reasons: [{ text: "loud", node: "bass", timeMs: 7 }, { text: "calm", node: null, timeMs: null }],
  });
  expect(recommendationOf(RECOMMENDED)).toBeNull();
  expect([null, 5, { name: "x" }, { name: "x", nodes: [{ id: "a" }] }].map(asGraph)).toEqual([null, null, null, null]);
  expect(asGraph(RECOMMENDED)).toBe(RECOMMENDED);
});
