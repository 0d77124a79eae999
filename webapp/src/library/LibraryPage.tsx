import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { trackPage } from "../api/queries";
import { Link } from "../app/router";
import type { PageProps } from "../app/routes";
import { texts } from "../texts";
import { Empty, ErrorState } from "../ui/states";

const TrackPage = lazy(() => import("../track/TrackPage"));

/** The library: the list of tracks, and beside it the selected track. */
export default function LibraryPage({ fields }: PageProps) {
  const page = useQuery(trackPage({ limit: 100 }));
  const trackId = fields["trackId"];
  if (page.isError) return <ErrorState error={page.error} onRetry={() => void page.refetch()} />;
  return (
    <div className="flex h-full">
      <div className="w-96 shrink-0 overflow-auto border-r border-line bg-panel">
        {page.data?.items.map((track) => (
          <Link key={track.id} to={`/tracks/${track.id}`} className="block px-3 py-2 hover:bg-hover">{track.title}</Link>
        ))}
        {page.data?.total === 0 && <Empty title={texts.library.empty} />}
      </div>
      <div className="min-w-0 flex-1 overflow-auto">
        {trackId && (
          <Suspense>
            <TrackPage key={trackId} trackId={trackId} tab={fields["tab"]} />
          </Suspense>
        )}
      </div>
    </div>
  );
}
