import { useQuery } from "@tanstack/react-query";
import { ChevronDown, ChevronRight } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "../../api/types";
import { formatAgo } from "../../app/format";
import { Link } from "../../app/router";
import { TrackName } from "../../app/shell/TrackName";
import { PresenceDot } from "../../devices/PresenceDot";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { plainConditions } from "../../texts/reasons";
import { IconButton } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { deviceList } from "../queries";
import { OutcomeBadge } from "../StatusBadge";
import { reportedState, type Reported } from "./reported";
import { StepList } from "./StepList";

type View = Schemas["DeploymentView"];

const TONES: Record<Reported, string> = { new: "text-ok", before: "text-warn", other: "text-warn", nothing: "text-muted", unknown: "text-muted" };

/** Each device: where it is in the deployment, and what it reports to run. */
export function DeviceTable({ view }: { view: View }) {
  const { data: devices = [] } = useQuery(deviceList);
  const byId = new Map(devices.map((device) => [device.id, device]));
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) => setOpen((before) => {
    const next = new Set(before);
    if (!next.delete(id)) next.add(id);
    return next;
  });
  return (
    <ul aria-label={t.tabs.devices} className="@container divide-y divide-line rounded border border-line">
      {view.devices.map((part) => {
        const isOpen = open.has(part.device_id);
        return (
          <li key={part.device_id}>
            <div className="grid grid-cols-[auto_1fr_auto] items-center gap-x-2 gap-y-0.5 px-1.5 py-1 @2xl:grid-cols-[auto_9rem_4.5rem_7.5rem_1fr]">
              <IconButton size="sm" label={t.stepsOf(part.device_id)} aria-expanded={isOpen} onClick={() => toggle(part.device_id)}>
                {isOpen ? <ChevronDown size={14} /> : <ChevronRight size={14} />}
              </IconButton>
              <span className="flex min-w-0 items-center gap-2">
                <PresenceDot online={byId.get(part.device_id)?.online ?? false} />
                <Link to={`/devices/${part.device_id}`} className="touch-target flex min-w-0 items-center font-mono text-xs hover:underline" title={part.device_id}><span className="truncate">{part.device_id}</span></Link>
              </span>
              <span className="hidden text-xs text-muted @2xl:inline">{batchText(view, part.batch)}</span>
              <span className="justify-self-end @2xl:justify-self-start"><OutcomeBadge outcome={part.outcome} percent={part.percent} /></span>
              <span className="col-span-3 pb-1 pl-9 text-xs @2xl:col-span-1 @2xl:pb-0 @2xl:pl-0">
                <ReportedRun device={byId.get(part.device_id)} part={part} bundle_sha256={view.bundle_sha256} />
              </span>
            </div>
            {part.reason && <p className="px-3 pb-1.5 pl-11 text-xs text-danger">{plainConditions(part.reason)}</p>}
            {isOpen && <StepList steps={part.steps} />}
          </li>
        );
      })}
    </ul>
  );
}

function batchText({ strategy }: View, batch: number | null | undefined): string {
  if (batch == null) return "";
  return batch === 1 && (strategy.canary ?? 0) > 0 ? t.canaryBatch : `${t.deviceColumns.batch} ${batch}`;
}

/** What the device itself says that it runs, with when it was last heard. */
function ReportedRun({ device, part, bundle_sha256 }: { device: Schemas["DeviceView"] | undefined; part: View["devices"][number]; bundle_sha256: string | null | undefined }) {
  const running = device?.running;
  const state = reportedState(running, device !== undefined, bundle_sha256, part.before);
  return (
    <span className="flex min-w-0 flex-wrap gap-x-1.5">
      <span className="text-muted">{t.deviceColumns.reports}</span>
      <span className={cx("font-medium", TONES[state])}>{t.reported[state]}</span>
      {running?.track_id && <span className="min-w-0 truncate text-soft"><TrackName trackId={running.track_id} /> v{running.version}</span>}
      {device && !device.online && device.last_seen && <span className="text-muted">· {t.lastHeard(formatAgo(device.last_seen))}</span>}
    </span>
  );
}
