import { useMutation, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { texts } from "../texts";
import { toastError } from "../ui/toast";
import { api, unwrapTagged } from "./client";
import { ApiError } from "./errors";
import { keys, trackDetail } from "./queries";
import type { Schemas } from "./types";

export interface TrackEdit {
  trackId: string;
  patch: Schemas["TrackPatch"];
}

/** Changes a track under the ETag of the copy that is shown: another person's edit is never overwritten. */
export function useEditTrack() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (edit: TrackEdit) => editTrack(queryClient, edit),
    onError: (error, { trackId }) => {
      const isConflict = error instanceof ApiError && error.status === 412;
      toastError(error, isConflict ? texts.library.editConflict : undefined);
      if (isConflict) void queryClient.invalidateQueries({ queryKey: keys.track(trackId) });
    },
  });
}

async function editTrack(queryClient: QueryClient, { trackId, patch }: TrackEdit): Promise<void> {
  const { etag } = await queryClient.ensureQueryData(trackDetail(trackId));
  const edited = await unwrapTagged(
    api.PATCH("/tracks/{track_id}", {
      params: { path: { track_id: trackId }, header: etag ? { "If-Match": etag } : {} },
      body: patch,
    }),
  );
  queryClient.setQueryData(trackDetail(trackId).queryKey, edited);
  await queryClient.invalidateQueries({ queryKey: ["tracks", "list"] });
}
