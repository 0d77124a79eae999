import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { api } from "../../../api/client";
import { keys } from "../../../api/queries";
import type { GraphDocument } from "../model/document";
import { useGraphCheck } from "./useGraphCheck";
import { useGraphEditor } from "./useGraphEditor";

const GRAPH: GraphDocument = { name: "show", nodes: [{ id: "strip", type: "LedOutput" }] };
const EDITED: GraphDocument = { name: "other", nodes: GRAPH.nodes };

const queryClient = new QueryClient();
const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={queryClient}>{children}</QueryClientProvider>;

/** Answer every POST with a body. */
function answer(data: object, status = 200) {
  const isGood = status < 400;
  const result = { ...(isGood ? { data } : { error: data }), response: new Response(null, { status }) };
  return vi.spyOn(api, "POST").mockResolvedValue(result as never);
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  history.replaceState(null, "", "/");
});

test("a graph that became a version is shown there, and the edited version is as it was saved", async () => {
  history.replaceState(null, "", "/tracks/trk/graph?v=1");
  const post = answer({ version: 2 });
  const invalidate = vi.spyOn(queryClient, "invalidateQueries").mockResolvedValue();
  const { result } = renderHook(() => useGraphEditor("trk", 1, { data: GRAPH, etag: '"a"' }, new Map()), { wrapper });
  act(() => result.current.dispatch({ type: "edit", graph: EDITED, subject: null }));
  expect(result.current.dirty).toBe(true);
  act(() => result.current.saveVersion());
  expect(result.current.busy).toBe("versioning");
  await waitFor(() => expect(result.current.busy).toBeNull());
  expect(post).toHaveBeenCalledWith("/tracks/{track_id}/versions/{version}/graph", {
    params: { path: { track_id: "trk", version: 1 }, header: { "If-Match": '"a"' } },
    body: EDITED,
  });
  expect(result.current).toMatchObject({ dirty: false, state: { present: GRAPH, past: [] } });
  expect(invalidate).toHaveBeenCalledWith({ queryKey: keys.tracks });
  expect(location.search).toBe("");
});

test("a graph that was refused stays edited, with what is wrong with it", async () => {
  const violation = { rule: "graph_name", severity: "error", message: "no name", fix: "Give it one." };
  answer({ code: "graph_invalid", detail: "It breaks 1 rule.", violations: [violation] }, 422);
  const { result } = renderHook(() => useGraphEditor("trk2", 1, { data: GRAPH, etag: '"a"' }, new Map()), { wrapper });
  act(() => result.current.dispatch({ type: "edit", graph: EDITED, subject: null }));
  act(() => result.current.saveVersion());
  await waitFor(() => expect(result.current.busy).toBeNull());
  expect(result.current).toMatchObject({ dirty: true, state: { present: EDITED }, trial: { graph: EDITED, violations: [violation] } });
});

test("only the last of many quick edits is checked, and a result is never shown for another graph", async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  const post = answer({ validation: { ok: true, errors: 0, warnings: 0, violations: [] } });
  const named = (name: string): GraphDocument => ({ name, nodes: GRAPH.nodes });
  const { result, rerender } = renderHook(({ graph }) => useGraphCheck("trk", 1, graph, true), { wrapper, initialProps: { graph: named("a") } });
  await waitFor(() => expect(result.current.result).not.toBeNull());
  for (const name of ["b", "c", "d"]) {
    rerender({ graph: named(name) });
    expect(result.current.result).toBeNull();
    act(() => void vi.advanceTimersByTime(100));
  }
  await waitFor(() => expect(result.current.result).not.toBeNull());
  const calls = post.mock.calls as unknown as [string, { body: { graph: GraphDocument } }][];
  expect(calls.map(([, options]) => options.body.graph.name)).toEqual(["a", "d"]);
});
