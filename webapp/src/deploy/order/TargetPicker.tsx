import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "../../api/types";
import { TrackName } from "../../app/shell/TrackName";
import { PresenceDot } from "../../devices/PresenceDot";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Checkbox, TextField } from "../../ui/Field";
import { Empty, ErrorState, Skeleton } from "../../ui/states";
import { deviceList } from "../queries";
import { Section } from "../Section";
import { groupTargets, targetsOf, withAll, type Target } from "./targets";

const TONES: Record<Schemas["Compatibility"]["status"], Tone> = { ok: "ok", upgrade_required: "warn", missing_nodes: "danger", no_space: "warn", offline: "neutral" };
const FILTER_FROM = 8;

export interface TargetPickerProps {
  chosen: readonly string[];
  /** How many of the chosen devices change first. */
  canary: number;
  compatibility: readonly Schemas["Compatibility"][];
  onChange: (deviceIds: string[]) => void;
}

/** Devices by group, with whether they can run the bundle and why not. */
export function TargetPicker({ chosen, canary, compatibility, onChange }: TargetPickerProps) {
  const devices = useQuery(deviceList);
  const [filter, setFilter] = useState("");
  const first = new Set(canary < chosen.length ? chosen.slice(0, canary) : []);
  const targets = targetsOf(devices.data ?? [], compatibility);
  const groups = groupTargets(targets, filter);
  const compatible = targets.filter(({ status }) => status === "ok").map(({ device }) => device.id);
  const set = (ids: readonly string[], isOn: boolean) => onChange(withAll(chosen, ids, isOn, targets));
  const aside = targets.length > 0 && (
    <>
      <span className="text-xs text-muted">{t.chosen(chosen.length, targets.length)}</span>
      <Button size="sm" disabled={compatible.length === 0} onClick={() => onChange(compatible)}>{t.pickCompatible}</Button>
      <Button size="sm" disabled={chosen.length === 0} onClick={() => onChange([])}>{t.pickNone}</Button>
    </>
  );
  return (
    <Section title={t.where} aside={aside}>
      {devices.isPending && <Skeleton className="h-36 w-full" />}
      {devices.isError && <ErrorState error={devices.error} onRetry={() => void devices.refetch()} />}
      {devices.data && targets.length === 0 && <Empty title={t.noDevices} text={t.noDevicesText} />}
      {targets.length > FILTER_FROM && <div className="mb-2"><TextField label={t.filterDevices} quiet placeholder={t.filterDevices} value={filter} onChange={({ target }) => setFilter(target.value)} /></div>}
      {targets.length > 0 && (
        <div className="max-h-72 overflow-y-auto rounded border border-line" tabIndex={0} role="group" aria-label={t.where}>
          {groups.length === 0 && <p className="p-3 text-sm text-muted">{t.noMatch}</p>}
          {groups.map(({ group, items }) => {
            const ids = items.map(({ device }) => device.id);
            const count = ids.filter((id) => chosen.includes(id)).length;
            return (
              <div key={group ?? ""}>
                <label className="touch-target sticky top-0 z-10 flex h-8 cursor-pointer items-center gap-2.5 border-b border-line bg-raised px-2.5 text-xs font-medium text-soft">
                  <Checkbox label={t.chooseGroup(group ?? t.noGroup)} checked={count === ids.length} ref={(box) => { if (box) box.indeterminate = count > 0 && count < ids.length; }} onChange={({ target }) => set(ids, target.checked)} />
                  {group ?? t.noGroup}
                  <span className="text-muted">{t.deviceCount(ids.length)}</span>
                </label>
                {items.map((target) => <TargetRow key={target.device.id} target={target} isChosen={chosen.includes(target.device.id)} isCanary={first.has(target.device.id)} onToggle={(isOn) => set([target.device.id], isOn)} />)}
              </div>
            );
          })}
        </div>
      )}
    </Section>
  );
}

function TargetRow({ target: { device, status, reason }, isChosen, isCanary, onToggle }: { target: Target; isChosen: boolean; isCanary: boolean; onToggle: (isOn: boolean) => void }) {
  const { running } = device;
  return (
    <label className="touch-target flex min-h-9 cursor-pointer flex-wrap items-center gap-x-2.5 gap-y-0.5 border-b border-line px-2.5 py-1 last:border-0 hover:bg-raised">
      <Checkbox label={t.chooseDevice(device.id)} checked={isChosen} onChange={({ target }) => onToggle(target.checked)} />
      <PresenceDot online={device.online} />
      <span className="w-32 truncate font-mono text-xs" title={device.id}>{device.id}</span>
      <span className="w-14 text-xs text-muted">{device.firmware ?? "–"}</span>
      <span className="min-w-0 flex-1 basis-24 truncate text-xs text-muted">
        {running?.track_id ? <><TrackName trackId={running.track_id} /> v{running.version}</> : running ? t.reported.other : t.reported.nothing}
      </span>
      {isCanary && <Badge tone="accent">{t.canary}</Badge>}
      <Badge tone={status ? TONES[status] : "neutral"} {...(reason ? { title: reason } : {})}>{status ? t.compatibility[status] : t.unknownCompatibility}</Badge>
      {reason && status !== "ok" && <span className="w-full pl-6 text-xs text-muted">{reason}</span>}
    </label>
  );
}
