import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import GraphComparison from "./GraphComparison";
import type { GraphDocument, NodeTypes } from "./model/document";
import { graphOf, nodeTypes } from "./queries";

const TYPES = new Map([
  ["Fill", { type: "Fill", params: [{ name: "level", kind: "number", default: 1 }] }],
  ["ParamColor", { type: "ParamColor", params: [{ name: "default", kind: "color", default: [0, 0, 0] }] }],
]) as unknown as NodeTypes;

const graph = (...nodes: object[]) => ({ name: "show", nodes }) as unknown as GraphDocument;

function show(before: GraphDocument, after: GraphDocument): void {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
  client.setQueryData(nodeTypes.queryKey, TYPES);
  client.setQueryData(graphOf("trk", 1).queryKey, { data: before, etag: undefined } as never);
  client.setQueryData(graphOf("trk", 2).queryKey, { data: after, etag: undefined } as never);
  render(
    <QueryClientProvider client={client}>
      <GraphComparison trackId="trk" version={2} other={1} />
    </QueryClientProvider>,
  );
}

it("names what was added, removed and changed, and shows colours as such", () => {
  show(
    graph({ id: "night", type: "ParamColor", params: { default: [0, 0, 0] } }, { id: "floor", type: "Fill" }, { id: "old", type: "Fill" }),
    graph({ id: "night", type: "ParamColor", params: { default: [1, 0, 0] } }, { id: "floor", type: "Fill", params: { level: 0.5 } }, { id: "new", type: "Fill" }),
  );
  expect(screen.getByRole("region", { name: "Graph" })).toHaveTextContent("2 nodes changed, 1 added, 1 removed");
  expect(screen.getAllByRole("listitem").map(({ textContent }) => textContent)).toEqual([
    "new Fill: added",
    "old Fill: removed",
    "night default: #000000 → #ff0000",
    "floor level: 1 → 0.5",
  ]);
});

it("says so where two graphs are the same", () => {
  show(graph({ id: "floor", type: "Fill" }), graph({ id: "floor", type: "Fill", params: { level: 1 } }));
  expect(screen.getByRole("region", { name: "Graph" })).toHaveTextContent("Graph · the same");
  expect(screen.queryAllByRole("listitem")).toEqual([]);
});
