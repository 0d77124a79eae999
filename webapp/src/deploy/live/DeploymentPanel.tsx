import { useState } from "react";
import type { Schemas } from "../../api/types";
import { formatTime } from "../../app/format";
import { Link } from "../../app/router";
import { TrackName } from "../../app/shell/TrackName";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { plainConditions } from "../../texts/reasons";
import { ErrorState, Progress, Skeleton } from "../../ui/states";
import { panelId, tabId, Tabs } from "../../ui/Tabs";
import { StatusBadge } from "../StatusBadge";
import { ControlBar } from "./ControlBar";
import { hasEnded } from "./controls";
import { DeviceTable } from "./DeviceTable";
import { DeploymentLog } from "./DeploymentLog";
import { DeploymentRecord } from "./DeploymentRecord";
import { progressOf } from "./progress";
import { TimelineView } from "./TimelineView";
import { useDeployment } from "./useDeployment";

const TABS = ["devices", "timeline", "log", "record"] as const;
type TabName = (typeof TABS)[number];

/** A deployment as it happens: its state, the controls, and each device. */
export function DeploymentPanel({ deploymentId }: { deploymentId: string }) {
  const deployment = useDeployment(deploymentId);
  const [tab, setTab] = useState<TabName>("devices");
  if (deployment.isPending) return <div className="flex flex-col gap-3 p-4"><Skeleton className="h-16 w-full" /><Skeleton className="h-48 w-full" /></div>;
  if (deployment.isError) return <ErrorState error={deployment.error} onRetry={() => void deployment.refetch()} />;
  const view = deployment.data;
  return (
    <div className="flex min-h-0 flex-col">
      <Head view={view} />
      <div className="mt-3"><Tabs label={t.title} tabs={TABS.map((id) => ({ id, label: t.tabs[id] }))} selected={tab} onSelect={setTab} /></div>
      <div role="tabpanel" id={panelId(tab)} aria-labelledby={tabId(tab)} className="pt-3">
        {tab === "devices" && <DeviceTable view={view} />}
        {tab === "timeline" && <TimelineView view={view} />}
        {tab === "log" && <DeploymentLog view={view} />}
        {tab === "record" && <DeploymentRecord view={view} />}
      </div>
    </div>
  );
}

function Head({ view }: { view: Schemas["DeploymentView"] }) {
  const { done, percent } = progressOf(view.devices.map(({ outcome }) => outcome));
  const isMoving = !hasEnded(view.status) && view.status !== "rollback_pending";
  return (
    <header className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
        <h2 className="min-w-0 text-lg font-semibold">
          <Link to={`/tracks/${view.track_id}?v=${view.version}`} className="touch-target inline-flex items-center hover:underline"><TrackName trackId={view.track_id} /></Link>
          <span className="ml-1.5 font-normal text-muted">v{view.version}</span>
        </h2>
        <StatusBadge status={view.status} paused={view.paused} />
      </div>
      <p className="text-xs text-muted">
        {formatTime(view.created_at)} {t.by(view.requested_by)} · {t.countOf(done, view.total)}
        {view.waits_for.length > 0 && ` · ${t.waitsFor(view.waits_for.length)}`}
      </p>
      {isMoving && <Progress label={t.statuses[view.status]} percent={percent} />}
      {view.reason && <p role="status" className="rounded border border-line bg-raised px-2.5 py-1.5 text-sm text-soft">{plainConditions(view.reason)}</p>}
      <ControlBar view={view} />
    </header>
  );
}
