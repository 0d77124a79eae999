import { useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";
import { navigate, setSearch } from "../app/router";
import { track as trackTexts } from "../texts/track/track";
import { toastDone, toastError, toastUndo } from "../ui";

const t = trackTexts.header;

export interface TrackActions {
  /** Makes a version the one in use. */
  readonly useVersion: (version: number) => void;
  /** Deletes the track; the message offers to undo it. */
  readonly remove: () => void;
  /** Takes a deleted track back. */
  readonly restore: () => void;
}

/** Return what can be done with a track as a whole. `etag` is that of the copy that is shown. */
export function useTrackActions(track: Schemas["Track"], etag: string | undefined): TrackActions {
  const queryClient = useQueryClient();
  const path = { track_id: track.id };
  const refresh = (): void => void queryClient.invalidateQueries({ queryKey: keys.tracks });

  const restore = (body: Schemas["RestoreTrackBody"]): void => {
    unwrap(api.POST("/tracks/{track_id}/restore", { params: { path }, body })).then(() => {
      toastDone(t.restored(track.title));
      refresh();
      navigate(`/tracks/${track.id}`);
    }, toastError);
  };

  return {
    useVersion: (version) => {
      const params = { path, ...(etag === undefined ? {} : { header: { "If-Match": etag } }) };
      unwrap(api.PATCH("/tracks/{track_id}", { params, body: { current_version: version } })).then(() => {
        toastDone(t.setCurrentDone(version));
        setSearch({ v: undefined });
        refresh();
      }, toastError);
    },
    remove: () => {
      unwrap(api.DELETE("/tracks/{track_id}", { params: { path } })).then(({ undo_token }) => {
        navigate("/tracks");
        refresh();
        toastUndo(t.deleted(track.title), () => restore({ undo_token }));
      }, toastError);
    },
    restore: () => restore({}),
  };
}
