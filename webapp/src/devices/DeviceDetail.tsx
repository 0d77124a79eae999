import { useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleAlert, CircleCheck, TriangleAlert } from "lucide-react";
import { Suspense, type ReactNode } from "react";
import { api, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";
import { useMay } from "../api/useSession";
import { formatAgo, formatBytes, formatTime } from "../app/format";
import { part } from "../app/part";
import { Link } from "../app/router";
import { shortId } from "../app/shell/TrackName";
import { DeploymentList } from "../deploy/DeploymentList";
import { useLive } from "../live/useLive";
import { common } from "../texts/common";
import { devicesTexts as t } from "../texts/fleet/devices";
import { plainReason } from "../texts/reasons";
import { telemetryTexts } from "../texts/fleet/telemetry";
import { Badge } from "../ui/Badge";
import { ErrorState, Skeleton } from "../ui/states";
import { BundleName } from "./BundleName";
import { DeviceAdmin } from "./provisioning/DeviceAdmin";
import { differs } from "./filter";
import { LiveValues } from "./LiveValues";
import { PresenceDot } from "./PresenceDot";

/** With the chart library, which the list of devices does without. */
const DeviceHistory = part(() => import("./history/DeviceHistory"));

/** Everything about one device: what it runs and should run, its values as they are, alarms and deployments. */
export function DeviceDetail({ deviceId }: { deviceId: string }) {
  const isAdmin = useMay("admin");
  const queryClient = useQueryClient();
  const device = useQuery({
    queryKey: keys.device(deviceId),
    queryFn: ({ signal }) => unwrap(api.GET("/devices/{device_id}", { params: { path: { device_id: deviceId } }, signal })),
  });
  // Readings change nothing that was read; steps of a deployment do.
  useLive(`device:${deviceId}`, ({ type }) => {
    if (type !== "device.reading") void queryClient.invalidateQueries({ queryKey: keys.device(deviceId) });
  });
  if (device.isPending) return <div className="flex flex-col gap-3"><Skeleton className="h-12 w-full" /><Skeleton className="h-64 w-full" /></div>;
  if (device.isError) return <ErrorState error={device.error} onRetry={() => void device.refetch()} />;
  const view = device.data;
  return (
    <div className="flex flex-col gap-5">
      <header className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h2 className="flex min-w-0 items-center gap-2.5 text-xl font-semibold"><PresenceDot online={view.online} /><span className="truncate">{view.id}</span></h2>
        <span className="text-sm text-muted">{view.online ? t.online : view.last_seen ? `${t.offline} · ${t.lastSeen(formatAgo(view.last_seen))}` : t.never}</span>
        {view.revoked_at && <Badge tone="danger">{t.revoked}</Badge>}
        <span className="flex-1" />
        {isAdmin && <DeviceAdmin device={view} />}
      </header>
      <Alarms device={view} />
      <Part title={t.bundles}><Bundles device={view} /></Part>
      {view.online && <Part title={t.live}><LiveValues deviceId={deviceId} /></Part>}
      <Part title={telemetryTexts.history}>
        <Suspense fallback={<Skeleton className="h-64 w-full" />}><DeviceHistory deviceId={deviceId} /></Suspense>
      </Part>
      <Part title={t.facts}><Facts device={view} /></Part>
      <Part title={t.recent}><div className="overflow-hidden rounded border border-line"><DeploymentList deviceId={deviceId} /></div></Part>
    </div>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h3 className="mb-1.5 text-2xs font-semibold tracking-wide text-muted uppercase">{title}</h3>
      {children}
    </section>
  );
}

function Alarms({ device: { alarms } }: { device: Schemas["DeviceView"] }) {
  if (alarms.length === 0) return <p className="flex items-center gap-1.5 text-sm text-muted"><CircleCheck size={14} className="text-ok" aria-hidden />{t.noAlarms}</p>;
  return (
    <ul aria-label={t.alarms} className="flex flex-col gap-1.5">
      {alarms.map(({ code, message }) => (
        <li key={code} className="flex items-start gap-2 rounded bg-danger-soft px-2.5 py-1.5 text-sm text-danger"><CircleAlert size={14} className="mt-0.5 shrink-0" aria-hidden />{plainReason(message)}</li>
      ))}
    </ul>
  );
}

function Bundles({ device }: { device: Schemas["DeviceView"] }) {
  const isOther = differs(device);
  const id = device.deployment_id ?? device.last_deployment_id;
  return (
    <dl className="grid grid-cols-[7rem_1fr] items-baseline gap-y-1.5 rounded border border-line bg-panel px-3 py-2.5 text-sm">
      <dt className="text-muted">{t.reported}</dt>
      <dd className="font-medium"><BundleName bundle={device.running} isLink /></dd>
      <dt className="text-muted">{t.desired}</dt>
      <dd className="flex flex-wrap items-center gap-2">
        {device.expected ? <BundleName bundle={device.expected} isLink /> : common.noValue}
        {isOther && <Badge tone="warn" icon={<TriangleAlert size={11} aria-hidden />}>{device.healing ? t.healing : t.differs}</Badge>}
      </dd>
      <dt className="text-muted">{t.staged}</dt>
      <dd className="text-soft">{device.staged.length === 0 ? t.none : device.staged.map(t.otherBundle).join(", ")}</dd>
      <dt className="text-muted">{t.since}</dt>
      <dd>{id ? <Link to={`/deployments/${id}`} className="touch-target inline-flex items-center font-mono text-xs text-accent hover:underline" title={id}>{shortId(id)}</Link> : common.noValue}</dd>
    </dl>
  );
}

function Facts({ device }: { device: Schemas["DeviceView"] }) {
  const facts = [
    [t.columns.firmware, device.firmware],
    [t.model, device.model],
    [t.hardware, device.hardware],
    [t.group, device.group],
    [t.transport, device.transport.toUpperCase()],
    [t.freeFlash, device.flash_free_bytes == null ? null : formatBytes(device.flash_free_bytes)],
    [t.added, formatTime(device.added_at)],
  ] as const;
  return (
    <div className="rounded border border-line bg-panel px-3 py-2.5 text-sm">
      <dl className="grid grid-cols-[7rem_1fr] gap-y-1.5 sm:grid-cols-[7rem_1fr_7rem_1fr]">
        {facts.map(([name, value]) => <div key={name} className="contents"><dt className="text-muted">{name}</dt><dd>{value ?? common.noValue}</dd></div>)}
      </dl>
      {device.node_types.length > 0 && (
        <details className="mt-1.5">
          <summary className="touch-target flex h-7 items-center text-xs text-soft">{t.nodeTypes(device.node_types.length)}</summary>
          <p className="flex flex-wrap gap-1">{device.node_types.map((node) => <Badge key={node}>{node}</Badge>)}</p>
        </details>
      )}
    </div>
  );
}
