import { useQuery, useQueryClient } from "@tanstack/react-query";
import { RotateCw, X } from "lucide-react";
import type { ReactNode } from "react";
import { api, unwrap } from "../api/client";
import { keys, workers } from "../api/queries";
import type { JobView } from "../api/types";
import { useMay } from "../api/useSession";
import { formatAgo, formatSpan } from "../app/format";
import { Link } from "../app/router";
import { useTrackTitle } from "../app/shell/TrackName";
import { useProgress } from "../live/progress";
import { activityTexts as t } from "../texts/activity";
import { stageText } from "../texts/track/stages";
import { Badge } from "../ui/Badge";
import { IconButton } from "../ui/Button";
import { SelectField } from "../ui/Field";
import { ErrorState, Progress, Skeleton } from "../ui/states";
import { toastDone, toastError } from "../ui/toast";
import { jobsOf } from "./queries";

const ENDED_TONES = { completed: "ok", failed: "danger", cancelled: "neutral" } as const;
const PRIORITIES = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1] as const;
type EndedStatus = keyof typeof ENDED_TONES;

/** The analyses that run and wait, with their estimates, and what can be done with them. */
export function QueuePanel() {
  const pool = useQuery(workers);
  const running = useQuery(jobsOf("processing"));
  const waiting = useQuery(jobsOf("queued"));
  const lately = useQuery(jobsOf());
  if (running.isPending || waiting.isPending) return <div className="flex flex-col gap-2 p-3"><Skeleton className="h-12 w-full" /><Skeleton className="h-12 w-full" /></div>;
  if (running.isError) return <ErrorState error={running.error} onRetry={() => void running.refetch()} />;
  const inLine = [...(waiting.data?.items ?? [])].sort((one, other) => (one.queue_position ?? 0) - (other.queue_position ?? 0));
  const ended = lately.data?.items.filter(({ ended_at }) => ended_at).slice(0, 10) ?? [];
  return (
    <section aria-label={t.queue} className="flex flex-col">
      {pool.data && (
        <p className="border-b border-line px-3 py-2.5 text-sm">
          <span className="font-medium">{t.workers}</span> <span className="text-soft">{t.workersText(pool.data.active, pool.data.total)}</span>
          {pool.data.average_wait_s != null && <span className="text-muted"> · {t.wait(formatSpan(pool.data.average_wait_s))}</span>}
        </p>
      )}
      {running.data.items.length + inLine.length === 0 && <p className="px-3 py-3 text-sm text-muted">{t.nothingRuns}</p>}
      <JobGroup title={t.running} jobs={running.data.items} />
      <JobGroup title={t.waiting} jobs={inLine} />
      <JobGroup title={t.latest} jobs={ended} />
    </section>
  );
}

function JobGroup({ title, jobs }: { title: string; jobs: readonly JobView[] }) {
  if (jobs.length === 0) return null;
  return (
    <>
      <h2 className="px-3 pt-3 pb-1 text-2xs font-semibold tracking-wide text-muted uppercase">{title} · {jobs.length}</h2>
      <ul aria-label={title}>{jobs.map((job) => <JobRow key={job.job_id} job={job} />)}</ul>
    </>
  );
}

function JobRow({ job }: { job: JobView }) {
  const queryClient = useQueryClient();
  const mayEdit = useMay("editor");
  const title = useTrackTitle(job.track_id);
  const progress = useProgress(job.track_id);
  const isRunning = job.status === "processing";
  const told = isRunning && progress?.job_id === job.job_id ? progress : job;
  const act = (answer: Promise<unknown>, text: string) =>
    void answer.then(() => toastDone(text), toastError).finally(() => void queryClient.invalidateQueries({ queryKey: keys.jobs }));
  const params = { path: { job_id: job.job_id } };
  const cancel = () => act(unwrap(api.DELETE("/analysis/jobs/{job_id}", { params })), t.cancelled);
  const retry = () => act(unwrap(api.POST("/analysis/jobs/{job_id}/retry", { params })), t.retried);
  return (
    <li className="border-b border-line px-3 py-2 last:border-0">
      <div className="flex items-center gap-2">
        <Link to={`/tracks/${job.track_id}?v=${job.version}`} className="touch-target flex min-w-0 flex-1 items-center text-sm font-medium hover:underline" title={title}><span className="truncate">{title}</span></Link>
        {job.ended_at && <Badge tone={ENDED_TONES[job.status as EndedStatus]}>{t.ended[job.status as EndedStatus]}</Badge>}
        {job.status === "queued" && <PrioritySelect job={job} title={title} disabled={!mayEdit} onPriority={(priority) => act(unwrap(api.PATCH("/analysis/jobs/{job_id}", { params, body: { priority } })), t.moved)} />}
        {mayEdit && !job.ended_at && <IconButton size="sm" label={t.cancelJob(title)} onClick={cancel}><X size={14} /></IconButton>}
        {mayEdit && (job.status === "failed" || job.status === "cancelled") && <IconButton size="sm" label={t.retryJob(title)} onClick={retry}><RotateCw size={14} /></IconButton>}
      </div>
      <Facts>
        {isRunning && <span>{told.stage ? stageText(told.stage) : ""} {Math.round(told.percent)} %</span>}
        {job.queue_position != null && <span>{t.position(job.queue_position)}</span>}
        {job.estimated_seconds_remaining != null && <span>{t.eta(formatSpan(job.estimated_seconds_remaining))}</span>}
        {isRunning && <span>{t.priority} {job.priority}</span>}
        {job.ended_at && <span>{formatAgo(job.ended_at)}</span>}
        {job.ended_at && job.elapsed_ms != null && <span>{formatSpan(job.elapsed_ms / 1000)}</span>}
      </Facts>
      {isRunning && <Progress label={title} percent={told.percent} className="mt-1.5" />}
      {job.error && <p className="mt-0.5 text-xs text-danger">{job.error.message}</p>}
    </li>
  );
}

interface PrioritySelectProps {
  job: JobView;
  title: string;
  disabled: boolean;
  onPriority: (priority: number) => void;
}

/** Moves a waiting job: behind the others of its new priority. */
function PrioritySelect({ job, title, disabled, onPriority }: PrioritySelectProps) {
  return (
    <div className="w-24 shrink-0">
      <SelectField label={t.priorityOf(title)} quiet disabled={disabled} className="h-7 text-xs" value={job.priority} onChange={({ target }) => onPriority(Number(target.value))}>
        {PRIORITIES.map((priority) => <option key={priority} value={priority}>{t.priorityName(priority)}</option>)}
      </SelectField>
    </div>
  );
}

function Facts({ children }: { children: ReactNode }) {
  return <p className="flex flex-wrap gap-x-2.5 text-xs text-muted">{children}</p>;
}
