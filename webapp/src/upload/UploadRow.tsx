import { CircleAlert, CircleCheck, CirclePause, Clock, Pause, Play, RotateCw, Upload, X } from "lucide-react";
import type { ReactNode } from "react";
import { formatBytes, formatDuration } from "../app/format";
import { Link } from "../app/router";
import { useProgress } from "../live/progress";
import { stageText } from "../texts/track/stages";
import { uploadTexts as t } from "../texts/upload";
import { IconButton } from "../ui/Button";
import { Spinner } from "../ui/Spinner";
import { Progress } from "../ui/states";
import { hasEnded, type Phase, type QueueItem } from "./queue";
import { pauseUpload, removeUpload, resumeUpload, retryUpload } from "./uploads";

const ICONS: Readonly<Record<Phase, ReactNode>> = {
  checking: <Spinner className="text-muted" />,
  refused: <CircleAlert size={16} className="text-danger" aria-hidden />,
  waiting: <Clock size={16} className="text-muted" aria-hidden />,
  sending: <Upload size={16} className="text-accent" aria-hidden />,
  paused: <CirclePause size={16} className="text-warn" aria-hidden />,
  failed: <CircleAlert size={16} className="text-danger" aria-hidden />,
  analysing: <Spinner className="text-accent" />,
  ready: <CircleCheck size={16} className="text-ok" aria-hidden />,
  analysis_failed: <CircleAlert size={16} className="text-danger" aria-hidden />,
};

/** One file of the queue: what it is at, why it failed, and what can be done. */
export function UploadRow({ item }: { item: QueueItem }) {
  const progress = useProgress(item.trackId ?? "");
  const isAnalysing = item.phase === "analysing";
  const percent = isAnalysing ? (progress?.percent ?? 0) : (100 * item.sent) / Math.max(1, item.size);
  const failed = item.reason !== undefined;
  return (
    <li className="border-b border-line px-3 py-2 last:border-0">
      <div className="flex items-center gap-2.5">
        <span className="flex size-4 shrink-0 items-center justify-center">{ICONS[item.phase]}</span>
        <div className="min-w-0 flex-1">
          <p className="truncate text-sm font-medium" title={item.name}>
            {item.trackId ? <Link to={`/tracks/${item.trackId}`} className="hover:underline">{item.name}</Link> : item.name}
          </p>
          <p className="flex gap-1.5 text-xs text-muted"><span className="truncate">{statusText(item, progress)}</span><Facts item={item} /></p>
        </div>
        <Actions item={item} />
      </div>
      {(item.phase === "sending" || item.phase === "paused" || isAnalysing) && <Progress label={t.progress(item.name)} percent={percent} className="mt-1.5 ml-6.5" />}
      {isAnalysing && progress?.preview && (
        <p className="mt-1 ml-6.5 text-xs text-ok">{t.firstBeats(progress.preview.beat_grid_ms.length, progress.preview.bpm)}</p>
      )}
      {failed && <p role="alert" className="mt-1 ml-6.5 text-xs text-danger">{item.reason}</p>}
    </li>
  );
}

function Facts({ item }: { item: QueueItem }) {
  if (item.phase === "checking" || item.phase === "refused") return <span className="shrink-0">· {formatBytes(item.size)}</span>;
  return (
    <>
      {item.duration_ms !== undefined && <span className="shrink-0">· {formatDuration(item.duration_ms)}</span>}
      {item.bpm !== undefined && item.phase !== "ready" && <span className="shrink-0" title={t.guessHint}>· {t.guess(item.bpm)}</span>}
    </>
  );
}

function statusText(item: QueueItem, progress: ReturnType<typeof useProgress>): string {
  switch (item.phase) {
    case "checking":
      return t.checking;
    case "refused":
      return t.refused;
    case "waiting":
      return t.waiting;
    case "sending":
      return t.sending(item.sent, item.size);
    case "paused":
      return t.paused(Math.floor((100 * item.sent) / Math.max(1, item.size)));
    case "failed":
      return t.failed;
    case "analysing":
      return progress ? t.analysing(stageText(progress.stage), progress.percent) : t.queued;
    case "ready":
      return item.outcome === "existing" ? t.existing : t.ready;
    case "analysis_failed":
      return t.analysisFailed;
  }
}

function Actions({ item }: { item: QueueItem }) {
  const { id, name, phase } = item;
  return (
    <span className="flex shrink-0">
      {(phase === "waiting" || phase === "sending") && <IconButton size="sm" label={t.pause(name)} onClick={() => pauseUpload(id)}><Pause size={14} /></IconButton>}
      {phase === "paused" && <IconButton size="sm" label={t.resume(name)} onClick={() => resumeUpload(id)}><Play size={14} /></IconButton>}
      {phase === "failed" && item.retryable && <IconButton size="sm" label={t.retry(name)} onClick={() => retryUpload(id)}><RotateCw size={14} /></IconButton>}
      <IconButton size="sm" label={hasEnded(item) || phase === "analysing" ? t.remove(name) : t.cancel(name)} onClick={() => removeUpload(id)}><X size={14} /></IconButton>
    </span>
  );
}
