import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";
import { Link } from "../app/router";
import { BundleName } from "../devices/BundleName";
import { FleetTabs } from "../devices/FleetTabs";
import { useLive } from "../live/useLive";
import { fleetTexts as t } from "../texts/fleet/alarms";
import { cx } from "../ui/cx";
import { ErrorState, Skeleton } from "../ui/states";

type Figures = Schemas["FleetView"];
const ALERT_MS = 50;

/** The figures of the whole fleet: asked for once, then live. */
const figures = queryOptions({
  queryKey: keys.fleet,
  queryFn: ({ signal }) => unwrap(api.GET("/fleet", { signal })),
});

/** How many devices are active, what they run, and what needs attention. */
export default function FleetPage() {
  const queryClient = useQueryClient();
  const query = useQuery(figures);
  useLive("fleet", (event) => {
    if (event.type === "fleet.summary") queryClient.setQueryData(figures.queryKey, event.data);
  });
  return (
    <div className="flex h-full flex-col">
      <h1 className="sr-only">{t.title}</h1>
      <FleetTabs current="fleet" />
      <div className="min-h-0 flex-1 overflow-auto">
        <div className="mx-auto flex max-w-5xl flex-col gap-4 p-4">
          {query.isPending && <Skeleton className="h-24 w-full" />}
          {query.isError && !query.data && <ErrorState error={query.error} onRetry={() => void query.refetch()} />}
          {query.data && <Overview data={query.data} />}
        </div>
      </div>
    </div>
  );
}

function Overview({ data }: { data: Figures }) {
  const worst = data.worst_drift_ms ?? undefined;
  const device = data.worst_drift_device_id ?? undefined;
  return (
    <>
      <dl className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Figure name={t.active} value={data.active_devices} note={t.of(data.devices)} to="/devices" />
        <Figure name={t.openAlarms} value={data.open_alarms} note={t.acknowledged(data.acknowledged_alarms)} to="/alarms" isBad={data.open_alarms > 0} />
        <Figure name={t.deployments} value={data.deployments_running} to="/deployments" />
        <Figure name={t.worst} value={worst === undefined ? t.noDrift : t.ms(worst)} note={device} to={device === undefined ? "/devices" : `/devices/${device}`} isBad={worst !== undefined && Math.abs(worst) > ALERT_MS} />
      </dl>
      <div className="grid gap-4 md:grid-cols-2">
        <Shares title={t.byFirmware} total={data.active_devices} rows={data.by_firmware.map(({ firmware, devices }) => ({ key: firmware ?? "", name: firmware ?? t.unknown, devices }))} />
        <Shares title={t.byBundle} total={data.active_devices} rows={data.by_bundle.map((each) => ({ key: each.bundle_sha256 ?? "", name: <BundleOf count={each} />, devices: each.devices }))} />
      </div>
      <p className="text-xs text-muted"><time dateTime={data.at}>{t.at(new Date(data.at).toLocaleTimeString())}</time></p>
    </>
  );
}

function Figure({ name, value, note, to, isBad = false }: { name: string; value: ReactNode; note?: string | undefined; to: string; isBad?: boolean }) {
  return (
    <div className="relative rounded-lg border border-line bg-panel p-3 hover:border-line-strong">
      <dt className="text-xs text-muted"><Link to={to} className="after:absolute after:inset-0">{name}</Link></dt>
      <dd className="mt-1 flex flex-wrap items-baseline gap-x-2">
        <span className={cx("text-xl font-semibold tabular-nums", isBad && "text-danger")}>{value}</span>
        {note && <span className="text-xs text-muted">{note}</span>}
      </dd>
    </div>
  );
}

function Shares({ title, rows, total }: { title: string; rows: readonly { key: string; name: ReactNode; devices: number }[]; total: number }) {
  return (
    <section aria-label={title} className="rounded-lg border border-line bg-panel p-3">
      <h2 className="text-sm font-medium">{title}</h2>
      {rows.length === 0 && <p className="mt-2 text-sm text-muted">{t.nothing}</p>}
      <ul className="mt-2 flex flex-col gap-2">
        {rows.map(({ key, name, devices }) => (
          <li key={key} className="text-sm">
            <div className="flex gap-2"><span className="min-w-0 flex-1 truncate">{name}</span><span className="text-muted tabular-nums">{t.devices(devices)}</span></div>
            <div aria-hidden className="mt-1 h-1 overflow-hidden rounded-full bg-hover"><div className="h-full rounded-full bg-accent-solid" style={{ width: `${(100 * devices) / Math.max(total, 1)}%` }} /></div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function BundleOf({ count }: { count: Figures["by_bundle"][number] }) {
  if (!count.bundle_sha256) return t.idle;
  const { track_id = null, version = null, bundle_sha256 } = count;
  return <BundleName bundle={{ track_id, version, bundle_sha256 }} isLink />;
}
