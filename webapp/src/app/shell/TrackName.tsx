import { useQuery } from "@tanstack/react-query";
import { trackDetail } from "../../api/queries";

const KEPT_MS = 300_000;

/** Returns the title of a track; its id until that is known, or where it is gone for good. */
export function useTrackTitle(trackId: string): string {
  const { data } = useQuery({ ...trackDetail(trackId), staleTime: KEPT_MS, select: ({ data: detail }) => detail.track.title, enabled: trackId !== "" });
  return data ?? shortId(trackId);
}

/** The title of a track, for lists that only know its id. */
export function TrackName({ trackId }: { trackId: string }) {
  return <>{useTrackTitle(trackId)}</>;
}

/** Returns the end of an id, which tells ids apart. */
export function shortId(id: string): string {
  return id.length > 14 ? `${id.slice(0, 4)}…${id.slice(-6)}` : id;
}
