import { useQuery } from "@tanstack/react-query";
import type { Schemas } from "../../api/types";
import { formatDuration } from "../../app/format";
import { Link } from "../../app/router";
import { texts } from "../../texts";
import { track as trackTexts } from "../../texts/track/track";
import { Empty, ErrorState, Skeleton } from "../../ui";
import { similarTracks } from "../queries";

const t = trackTexts.similar;
/** A distance of a group from which on its bar is empty. */
const FAR = 3;

/** The tracks that sound most like this one, and in what. */
export default function SimilarTab({ trackId }: { trackId: string }) {
  const similar = useQuery(similarTracks(trackId));
  if (similar.isPending) return <Skeleton className="m-3 h-64" />;
  if (similar.isError) return <ErrorState error={similar.error} onRetry={() => void similar.refetch()} />;
  if (similar.data.items.length === 0) return <Empty title={t.empty} text={t.emptyText} />;
  return (
    <ul aria-label={trackTexts.tabs.similar} className="flex-1 divide-y divide-line">
      {similar.data.items.map((item) => (
        <Row key={item.track.id} item={item} />
      ))}
    </ul>
  );
}

function Row({ item: { track, distance, groups, why } }: { item: Schemas["SimilarTrack"] }) {
  return (
    <li>
      <Link to={`/tracks/${track.id}`} className="flex items-center gap-4 px-4 py-2.5 -outline-offset-2 hover:bg-raised">
        <span className="min-w-0 flex-1">
          <span className="block truncate text-sm font-medium">{track.title}</span>
          <span className="block truncate text-xs text-muted">{track.artist ?? trackTexts.header.unknownArtist}</span>
          <span className="block text-xs text-soft">{why}</span>
        </span>
        <span className="flex items-end gap-1.5 max-md:hidden" title={t.distance(distance.toFixed(2))}>
          {groups.map(({ group, distance: part }) => (
            <span key={group} className="flex w-14 flex-col gap-1">
              <span className="h-1 overflow-hidden rounded-full bg-hover" aria-hidden="true">
                <span className="block h-full rounded-full bg-accent-solid" style={{ width: `${100 * Math.max(0.04, 1 - part / FAR)}%` }} />
              </span>
              <span className="truncate text-2xs text-muted">{t.groups[group]}</span>
            </span>
          ))}
        </span>
        <span className="w-20 shrink-0 text-right text-xs text-soft">
          <span className="block">{!track.bpm ? texts.common.noValue : `${track.bpm.toFixed(1)} BPM`}</span>
          <span className="block text-muted">{track.duration_ms == null ? "" : formatDuration(track.duration_ms)}</span>
        </span>
      </Link>
    </li>
  );
}
