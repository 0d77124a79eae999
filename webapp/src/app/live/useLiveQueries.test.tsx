import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, expect, it, vi } from "vitest";
import { keys } from "../../api/queries";
import type { FeedEvent } from "../../api/types";
import { useLive } from "../../live/useLive";
import { staleAfter, useLiveQueries } from "./useLiveQueries";

vi.mock("../../live/useLive");
afterEach(() => vi.useRealTimers());

it("reads again a little later, since an answer may be from before the event", async () => {
  vi.useFakeTimers();
  const queryClient = new QueryClient();
  const invalidate = vi.spyOn(queryClient, "invalidateQueries").mockResolvedValue();
  const wrapper = ({ children }: { children: ReactNode }) => <QueryClientProvider client={queryClient}>{children}</QueryClientProvider>;
  const { unmount } = renderHook(useLiveQueries, { wrapper });
  const tell = vi.mocked(useLive).mock.calls[0]?.[1];
  const read = (): number => invalidate.mock.calls.filter(([filters]) => filters?.queryKey === keys.tracks).length;

  act(() => tell?.({ type: "analysis.completed" } as FeedEvent));
  await vi.advanceTimersByTimeAsync(100);
  expect(read()).toBe(1);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(read()).toBe(2);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(read()).toBe(3);
  unmount();
});

it.each(["graph.edited", "graph.simulated", "beats_updated", "track.edited", "artefact.deleted"])("reads tracks again after %s", (type) => {
  expect(staleAfter({ type } as FeedEvent)).toContain(keys.tracks);
});
