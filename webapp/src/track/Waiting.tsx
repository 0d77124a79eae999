import type { Schemas } from "../api/types";
import { useProgress } from "../live/progress";
import { track as trackTexts } from "../texts/track/track";
import { Empty, Progress } from "../ui";
import { formatClock } from "./clock";

const t = trackTexts.waiting;

/** What stands in place of the beats while there are none: how far the analysis is, and its first beats. */
export function Waiting({ track, isNow }: { track: Schemas["Track"]; isNow: boolean }) {
  const progress = useProgress(track.id);
  if (!isNow) return <Empty title={t.notThen} />;
  if (track.status === "failed") return <Empty title={t.failed} text={t.failedText} />;
  const preview = progress?.preview;
  return (
    <>
      {preview && <FirstBeats preview={preview} durationMs={track.audio?.duration_ms ?? preview.analysed_ms} />}
      <Empty
        title={t.processing}
        text={progress?.message ?? t.processingText}
        action={progress && <Progress label={t.processing} percent={progress.percent} className="w-64" />}
      />
    </>
  );
}

/** The beats that the analysis has found so far, over the length of the song. */
function FirstBeats({ preview: { beat_grid_ms, bpm, analysed_ms }, durationMs }: { preview: Schemas["BeatPreview"]; durationMs: number }) {
  return (
    <figure className="border-b border-line bg-panel px-4 py-3">
      <figcaption className="pb-2 text-sm">
        <span className="font-semibold">{t.tempo(bpm.toFixed(1))}</span>{" "}
        <span className="text-muted">{t.firstBeats(beat_grid_ms.length, formatClock(analysed_ms, 1000))}</span>
      </figcaption>
      <svg viewBox={`0 0 ${durationMs} 1`} preserveAspectRatio="none" aria-hidden="true" className="h-16 w-full rounded bg-bg text-accent">
        <path d={beat_grid_ms.map((ms) => `M${ms} 0V1`).join("")} stroke="currentColor" vectorEffect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}
