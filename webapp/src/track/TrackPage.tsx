import { useQuery } from "@tanstack/react-query";
import { useTrack } from "../api/queries";
import { useSearch } from "../app/router";
import { track as trackTexts } from "../texts/track/track";
import { ErrorState, Spinner } from "../ui";
import { OpenTrack } from "./OpenTrack";
import { trackAt } from "./queries";

export interface TrackPageProps {
  trackId: string;
  /** The part of the address behind the track: which tab is shown. */
  tab: string | undefined;
}

/** Everything about one track, as it is or, with `?at=TIME`, as it was. Shown beside the library. */
export default function TrackPage({ trackId, tab }: TrackPageProps) {
  const at = useSearch().get("at");
  return at === null ? <Now trackId={trackId} tab={tab} /> : <Then trackId={trackId} tab={tab} at={at} />;
}

function Now({ trackId, tab }: TrackPageProps) {
  const track = useTrack(trackId);
  if (track.isPending) return <Loading />;
  if (track.isError) return <ErrorState error={track.error} onRetry={() => void track.refetch()} />;
  const { data, etag } = track.data;
  return <OpenTrack key={trackId} detail={data} etag={etag} tab={tab} at={null} />;
}

function Then({ trackId, tab, at }: TrackPageProps & { at: string }) {
  const track = useQuery(trackAt(trackId, at));
  if (track.isPending) return <Loading />;
  if (track.isError) return <ErrorState error={track.error} onRetry={() => void track.refetch()} />;
  return <OpenTrack key={`${trackId} ${at}`} detail={track.data} etag={undefined} tab={tab} at={at} />;
}

function Loading() {
  return (
    <p role="status" className="flex items-center gap-2 p-4 text-muted">
      <Spinner />
      {trackTexts.loading}
    </p>
  );
}
