import { useQuery } from "@tanstack/react-query";
import { RotateCcw } from "lucide-react";
import { latestJob } from "../../api/queries";
import type { TrackSummary } from "../../api/types";
import { useProgress } from "../../live/progress";
import { library as t } from "../../texts/library";
import { stageText } from "../../texts/track/stages";
import { Progress } from "../../ui/states";
import { useBatch } from "../batch";

/** The second line of a row: the artist, how far the analysis is, or why it failed. */
export function RowState({ track, mayEdit }: { track: TrackSummary; mayEdit: boolean }) {
  if (track.status === "processing") return <Processing track={track} />;
  if (track.status === "failed") return <Failed track={track} mayEdit={mayEdit} />;
  return <span className="block truncate text-xs leading-4 text-muted">{track.artist ?? t.noArtist}</span>;
}

function Processing({ track }: { track: TrackSummary }) {
  const told = useProgress(track.id);
  const { data: job } = useQuery(latestJob(track.id));
  const percent = told?.percent ?? job?.percent ?? 0;
  const stage = told?.stage ?? job?.stage;
  return (
    <span className="flex h-4 items-center gap-2 text-xs text-muted">
      <Progress label={track.title} percent={percent} className="min-w-12 flex-1" />
      <span className="shrink-0">{stage ? t.progress(stageText(stage), percent) : t.queued}</span>
    </span>
  );
}

function Failed({ track, mayEdit }: { track: TrackSummary; mayEdit: boolean }) {
  const { data: job } = useQuery(latestJob(track.id));
  const batch = useBatch();
  const reason = job?.error?.message ?? t.statusHints.failed;
  return (
    <span className="flex h-4 items-center gap-2 text-xs">
      <span className="truncate text-danger" title={reason}>{reason}</span>
      {mayEdit && (
        <button
          type="button"
          className="flex shrink-0 items-center gap-1 rounded text-accent hover:underline"
          onClick={(event) => {
            event.stopPropagation();
            void batch({ action: "analyse" }, [track.id]);
          }}
        >
          <RotateCcw size={11} aria-hidden />
          {t.retryAnalysis}
        </button>
      )}
    </span>
  );
}
