import { useTrack } from "../api/queries";
import { Spinner } from "../ui/Spinner";
import { ErrorState } from "../ui/states";
import { texts } from "../texts";

export interface TrackPageProps {
  trackId: string;
  /** The part of the address behind the track: which tab is shown. */
  tab: string | undefined;
}

/** Everything about one track. Shown beside the library, and by itself on a phone. */
export default function TrackPage({ trackId }: TrackPageProps) {
  const track = useTrack(trackId);
  if (track.isPending) return <p role="status" className="flex items-center gap-2 p-4 text-muted"><Spinner />{texts.common.loading}</p>;
  if (track.isError) return <ErrorState error={track.error} onRetry={() => void track.refetch()} />;
  return (
    <div className="p-4">
      <h1 className="text-xl font-semibold">{track.data.data.track.title}</h1>
      <p className="text-muted">{track.data.data.track.artist ?? texts.common.noValue}</p>
    </div>
  );
}
