import { useQuery } from "@tanstack/react-query";
import { ArrowLeft, Lightbulb, Plus } from "lucide-react";
import { useState } from "react";
import { useMay } from "../api/useSession";
import { Link, setSearch, useSearch } from "../app/router";
import type { PageProps } from "../app/routes";
import { deviceList } from "../deploy/queries";
import { common } from "../texts/common";
import { devicesTexts as t } from "../texts/fleet/devices";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { SelectField, TextField } from "../ui/Field";
import { Empty, ErrorState, Skeleton } from "../ui/states";
import { AddDevicesDialog } from "./provisioning/AddDevicesDialog";
import { DeviceDetail } from "./DeviceDetail";
import { DeviceList } from "./DeviceList";
import { filterDevices, groupsOf, readDeviceFilter, type DeviceFilter } from "./filter";
import { FleetTabs } from "./FleetTabs";

/** The devices, and beside them the open one. A phone shows one of the two. */
export default function DevicesPage({ fields }: PageProps) {
  const { deviceId } = fields;
  const devices = useQuery(deviceList);
  const filter = readDeviceFilter(useSearch());
  const isAdmin = useMay("admin");
  const [isAdding, setIsAdding] = useState(false);
  const all = devices.data?.filter(({ revoked_at }) => !revoked_at) ?? [];
  const shown = filterDevices(all, filter);
  const add = isAdmin && <Button icon={<Plus size={14} aria-hidden />} onClick={() => setIsAdding(true)}>{t.addDevices}</Button>;
  return (
    <div className="flex h-full flex-col">
      <h1 className="sr-only">{t.title}</h1>
      <FleetTabs current="devices" />
      <div className="flex min-h-0 flex-1">
        <section aria-label={t.title} className={cx("min-w-0 flex-col bg-panel", deviceId ? "hidden w-72 shrink-0 border-r border-line md:flex xl:w-96" : "flex flex-1")}>
          {(devices.isPending || all.length > 0) && <FilterBar filter={filter} groups={groupsOf(all)} isNarrow={deviceId !== undefined} summary={devices.isPending ? "\u00a0" : t.count(all.filter(({ online }) => online).length, all.length)} action={!deviceId && add} />}
          <div className="min-h-0 flex-1">
            {devices.isPending && <div className="flex flex-col gap-2 p-3"><Skeleton className="h-10 w-full" /><Skeleton className="h-10 w-full" /><Skeleton className="h-10 w-full" /></div>}
            {devices.isError && <ErrorState error={devices.error} onRetry={() => void devices.refetch()} />}
            {devices.data && all.length === 0 && <Empty icon={<Lightbulb size={28} />} title={t.empty} text={isAdmin ? t.emptyText : t.emptyViewerText} action={add} />}
            {all.length > 0 && shown.length === 0 && <Empty title={t.noMatch} text={t.noMatchText} action={<Button onClick={() => setSearch({ q: undefined, group: undefined, only: undefined })}>{t.onlyAll}</Button>} />}
            {shown.length > 0 && <DeviceList devices={shown} openId={deviceId} />}
          </div>
        </section>
        {deviceId && (
          <section aria-label={t.details} className="min-w-0 flex-1 overflow-y-auto">
            <div className="mx-auto max-w-5xl p-4">
              <Link to={`/devices${location.search}`} className="touch-target mb-2 inline-flex items-center gap-1.5 text-sm text-muted hover:text-text md:hidden"><ArrowLeft size={14} aria-hidden />{common.back}</Link>
              <DeviceDetail key={deviceId} deviceId={deviceId} />
            </div>
          </section>
        )}
      </div>
      {isAdding && <AddDevicesDialog onClose={() => setIsAdding(false)} />}
    </div>
  );
}

interface FilterBarProps {
  filter: DeviceFilter;
  groups: readonly string[];
  isNarrow: boolean;
  summary: string;
  action: React.ReactNode;
}

function FilterBar({ filter, groups, isNarrow, summary, action }: FilterBarProps) {
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line p-2">
      <div className={cx("min-w-0", isNarrow ? "w-full" : "w-full md:w-60")}>
        <TextField label={t.filter} quiet type="search" placeholder={t.filterHint} value={filter.text} onChange={({ target }) => setSearch({ q: target.value })} />
      </div>
      <div className={cx(isNarrow ? "min-w-28 flex-1" : "min-w-0 flex-1 basis-32 md:w-36 md:flex-none")}>
        <SelectField label={t.group} quiet value={filter.group} onChange={({ target }) => setSearch({ group: target.value })}>
          <option value="">{t.allGroups}</option>
          {groups.map((group) => <option key={group}>{group}</option>)}
        </SelectField>
      </div>
      <div className={cx(isNarrow ? "min-w-28 flex-1" : "min-w-0 flex-1 basis-32 md:w-44 md:flex-none")}>
        <SelectField label={t.only} quiet value={filter.only} onChange={({ target }) => setSearch({ only: target.value === "all" ? undefined : target.value })}>
          <option value="all">{t.onlyAll}</option>
          <option value="offline">{t.onlyOffline}</option>
          <option value="trouble">{t.onlyTrouble}</option>
        </SelectField>
      </div>
      {!isNarrow && <span className="hidden flex-1 md:block" />}
      <span role="status" className="flex-1 text-xs text-muted md:flex-none">{summary}</span>
      {action}
    </div>
  );
}
