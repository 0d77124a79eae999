import { queryClient, trackPage } from "../api/queries";
import { readFilters, toQuery } from "./filters";
import { PAGE_SIZE } from "./pageSize";

/** Asks for the first tracks that the address shows, before the code of the library is there. */
export function preloadTracks(): void {
  const query = toQuery(readFilters(new URLSearchParams(location.search)));
  void queryClient.prefetchQuery(trackPage({ ...query, limit: PAGE_SIZE, offset: 0 }));
}
