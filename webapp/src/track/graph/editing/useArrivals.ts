import { useEffect, useRef } from "react";
import { useUser } from "../../../api/useSession";
import { useLive } from "../../../live/useLive";
import { graph as t } from "../../../texts/track/graph";
import { toastMessage } from "../../../ui";

/** Says that someone else edited the graph. The page reads it because the event marks the queries as stale; edits that are
 * not saved get a notice of their own. */
export function useArrivals(trackId: string, version: number, dirty: boolean): void {
  const { id } = useUser();
  const shown = useRef({ version, dirty });
  useEffect(() => {
    shown.current = { version, dirty };
  });
  useLive(`track:${trackId}`, (event) => {
    if (event.type !== "graph.edited" || event.data.author.id === id) return;
    const { author, version: edited, previous_version: before } = event.data;
    if (before != null) toastMessage(t.arrivedVersion(author.name, edited));
    else if (edited === shown.current.version && !shown.current.dirty) toastMessage(t.arrived(author.name));
  });
}
