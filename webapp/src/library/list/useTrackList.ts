import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { trackPage, type TrackListQuery } from "../../api/queries";
import type { TrackSummary } from "../../api/types";
import { useSettled } from "../../app/useSettled";
import { PAGE_SIZE } from "./pageSize";

/** Pages that fly by are not asked for: so long one must be near. */
const SETTLED_MS = 60;
/** So many rows beyond those that exist are asked for, so that a slow scroll finds them loaded. */
const AHEAD = 40;

/** Asks for the first page of the tracks of a query, which says how many there are. */
export function useFirstPage(query: TrackListQuery) {
  return useQuery({ ...trackPage({ ...query, limit: PAGE_SIZE, offset: 0 }), placeholderData: keepPreviousData });
}

export interface LoadedTracks {
  /** The track of a row, or undefined while its page is on its way. */
  rowAt: (index: number) => TrackSummary | undefined;
  /** Every track of the loaded pages. */
  all: () => readonly TrackSummary[];
}

/** Returns the tracks of a query, of which only the pages near the rows that exist are loaded. */
export function useLoadedTracks(query: TrackListQuery, first: ReturnType<typeof useFirstPage>["data"], rows: readonly { index: number }[]): LoadedTracks {
  const near = pagesOf((rows[0]?.index ?? 0) - AHEAD, (rows.at(-1)?.index ?? 0) + AHEAD, first?.total ?? 0);
  const wanted = useSettled(near.join(), SETTLED_MS).split(",").map(Number);
  const others = useQueries({
    queries: near
      .filter((page) => page > 0)
      .map((page) => ({ ...trackPage({ ...query, limit: PAGE_SIZE, offset: page * PAGE_SIZE }), enabled: wanted.includes(page) })),
  });
  const items = new Map<number, readonly TrackSummary[]>();
  if (first) items.set(0, first.items);
  for (const { data } of others) if (data) items.set(data.offset / PAGE_SIZE, data.items);
  return {
    rowAt: (index) => items.get(Math.floor(index / PAGE_SIZE))?.[index % PAGE_SIZE],
    all: () => [...items.values()].flat(),
  };
}

/** Returns the numbers of the pages that hold the rows. */
export function pagesOf(firstRow: number, lastRow: number, total: number): number[] {
  if (total === 0) return [];
  const last = Math.floor(Math.min(lastRow, total - 1) / PAGE_SIZE);
  const first = Math.min(Math.floor(Math.max(0, firstRow) / PAGE_SIZE), last);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
