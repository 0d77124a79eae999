import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { trackPage, type TrackListQuery } from "../api/queries";
import type { TrackSummary } from "../api/types";
import { PAGE_SIZE } from "./pageSize";

export interface TrackList {
  total: number | undefined;
  /** The track of a row, or undefined while its page is on its way. */
  rowAt: (index: number) => TrackSummary | undefined;
  /** Every track of the loaded pages. */
  loaded: readonly TrackSummary[];
  error: Error | null;
  isPending: boolean;
  refetch: () => void;
}

/** Returns the tracks of a query, of which only the pages around the visible rows are loaded. */
export function useTrackList(query: TrackListQuery, firstRow: number, lastRow: number): TrackList {
  const first = useQuery({ ...trackPage({ ...query, limit: PAGE_SIZE, offset: 0 }), placeholderData: keepPreviousData });
  const total = first.data?.total;
  const pages = visiblePages(firstRow, lastRow, total ?? 0);
  const others = useQueries({
    queries: pages.filter((page) => page > 0).map((page) => trackPage({ ...query, limit: PAGE_SIZE, offset: page * PAGE_SIZE })),
  });

  const items = new Map<number, readonly TrackSummary[]>();
  if (first.data) items.set(0, first.data.items);
  for (const { data } of others) if (data) items.set(data.offset / PAGE_SIZE, data.items);
  return {
    total,
    rowAt: (index) => items.get(Math.floor(index / PAGE_SIZE))?.[index % PAGE_SIZE],
    loaded: [...items.values()].flat(),
    error: first.error,
    isPending: first.isPending,
    refetch: () => void first.refetch(),
  };
}

/** Returns the numbers of the pages that hold the rows. */
export function visiblePages(firstRow: number, lastRow: number, total: number): number[] {
  if (total === 0) return [];
  const last = Math.floor(Math.min(lastRow, total - 1) / PAGE_SIZE);
  const first = Math.min(Math.floor(Math.max(0, firstRow) / PAGE_SIZE), last);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
