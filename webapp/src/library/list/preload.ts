import { queryClient, trackDetail, trackPage } from "../../api/queries";
import { part } from "../../app/part";
import { readFilters, toQuery } from "../filters";
import { PAGE_SIZE } from "./pageSize";

/** The open track, beside the list. */
export const TrackPage = part(() => import("../../track/TrackPage"));

/** Asks for the first tracks that the address shows, and for the open one, before the code of the library is there. */
export function preloadLibrary({ trackId }: Record<string, string>): void {
  const parameters = new URLSearchParams(location.search);
  void queryClient.prefetchQuery(trackPage({ ...toQuery(readFilters(parameters)), limit: PAGE_SIZE, offset: 0 }));
  if (trackId === undefined) return;
  void TrackPage.preload();
  if (!parameters.has("at")) void queryClient.prefetchQuery(trackDetail(trackId));
}
