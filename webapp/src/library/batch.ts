import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { api, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";
import { library as t } from "../texts/library";
import { toastDone, toastError, toastMessage, toastUndo } from "../ui/toast";

export type Batch = Omit<Schemas["TrackBatch"], "track_ids">;

/** The API takes so many tracks at once. */
const AT_ONCE = 500;

/** Returns a function that does something with many tracks, and tells the result; deleting can be undone. */
export function useBatch(): (batch: Batch, trackIds: readonly string[]) => Promise<void> {
  const queryClient = useQueryClient();
  return (batch, trackIds) => runBatch(queryClient, batch, trackIds);
}

/** Does something with many tracks, and tells the result; deleting can be undone. */
export async function runBatch(queryClient: QueryClient, batch: Batch, trackIds: readonly string[]): Promise<void> {
  try {
    const results: Schemas["TrackResult"][] = [];
    for (let start = 0; start < trackIds.length; start += AT_ONCE) {
      const body = { ...batch, track_ids: trackIds.slice(start, start + AT_ONCE) };
      results.push(...(await unwrap(api.POST("/tracks/batch", { body }))).items);
    }
    tell(queryClient, batch, results);
  } catch (error) {
    toastError(error);
  } finally {
    await queryClient.invalidateQueries({ queryKey: keys.tracks });
    void queryClient.invalidateQueries({ queryKey: keys.jobs });
  }
}

function tell(queryClient: QueryClient, batch: Batch, results: readonly Schemas["TrackResult"][]): void {
  const failed = results.filter(({ status }) => status === "failed");
  const done = results.filter(({ status }) => status !== "failed").map(({ track_id }) => track_id);
  if (done.length > 0 && batch.action === "delete") {
    toastUndo(t.done.delete(done.length), () => void runBatch(queryClient, { action: "restore" }, done));
  } else if (done.length > 0) {
    toastDone(t.done[batch.action](done.length));
  }
  if (failed.length > 0) toastMessage(t.someFailed(failed.length, failed[0]?.message ?? failed[0]?.code ?? ""));
}
