import { useInfiniteQuery } from "@tanstack/react-query";
import { BellRing, CircleCheck, TriangleAlert } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "../api/types";
import { useMay } from "../api/useSession";
import { formatAgo, formatTime } from "../app/format";
import { Link, setSearch, useSearch } from "../app/router";
import { MoreButton } from "../auth/profile/MoreButton";
import { FleetTabs } from "../devices/FleetTabs";
import { alarmsTexts as t } from "../texts/fleet/alarms";
import { plainReason } from "../texts/reasons";
import { Badge } from "../ui/Badge";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { Empty, ErrorState, Skeleton } from "../ui/states";
import { Table, type Column } from "../ui/Table";
import { AcknowledgeDialog } from "./AcknowledgeDialog";
import { alarmsOf, STATES } from "./queries";

type Alarm = Schemas["Alarm"];

/** The alarms in one state, the newest first; operators acknowledge those that are open. */
export default function AlarmsPage() {
  const wanted = useSearch().get("state");
  const state = STATES.find((each) => each === wanted) ?? "open";
  const query = useInfiniteQuery(alarmsOf(state));
  const mayAcknowledge = useMay("operator");
  const [asked, setAsked] = useState<Alarm>();
  const rows = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const total = query.data?.pages[0]?.total;
  return (
    <div className="flex h-full flex-col">
      <h1 className="sr-only">{t.title}</h1>
      <FleetTabs current="alarms" />
      <div role="group" aria-label={t.state} className="flex shrink-0 items-center gap-1 border-b border-line bg-panel p-2">
        {STATES.map((each) => (
          <button key={each} type="button" aria-pressed={each === state} onClick={() => setSearch({ state: each === "open" ? undefined : each })} className={cx("touch-target h-8 rounded px-3 text-sm", each === state ? "bg-hover font-medium text-text" : "text-muted hover:bg-raised hover:text-text")}>
            {t.states[each]}
          </button>
        ))}
        <span className="flex-1" />
        <span role="status" className="text-xs text-muted">{total === undefined ? "\u00a0" : t.count(total)}</span>
      </div>
      <div className="min-h-0 flex-1 overflow-auto bg-panel">
        {query.isPending && <div className="flex flex-col gap-2 p-3"><Skeleton className="h-9 w-full" /><Skeleton className="h-9 w-full" /></div>}
        {query.isError && rows.length === 0 && <ErrorState error={query.error} onRetry={() => void query.refetch()} />}
        {query.data && rows.length === 0 && <Empty icon={<CircleCheck size={28} />} title={t.none[state]} text={t.noneText[state]} />}
        {rows.length > 0 && <Table label={t.title} columns={columnsOf(mayAcknowledge && state === "open" ? setAsked : undefined)} rows={rows} rowKey={({ id }) => id} />}
        <MoreButton query={query} />
      </div>
      {asked && <AcknowledgeDialog alarm={asked} onClose={() => setAsked(undefined)} />}
    </div>
  );
}

function columnsOf(onAcknowledge: ((alarm: Alarm) => void) | undefined): Column<Alarm>[] {
  const columns: Column<Alarm>[] = [
    { id: "device", title: t.columns.device, className: "max-md:px-2", cell: ({ device_id }) => <Link to={`/devices/${device_id}`} className="touch-target inline-flex h-9 items-center font-medium whitespace-nowrap hover:underline">{device_id}</Link> },
    { id: "what", title: t.columns.what, className: "max-md:px-2", cell: (alarm) => <What alarm={alarm} /> },
    { id: "why", title: t.columns.why, className: "hidden whitespace-nowrap md:table-cell", cell: ({ reason }) => plainReason(reason) },
    { id: "opened", title: t.columns.opened, className: "hidden whitespace-nowrap text-muted md:table-cell", cell: ({ opened_at }) => <time dateTime={opened_at} title={formatTime(opened_at)}>{formatAgo(opened_at)}</time> },
    { id: "state", title: t.columns.state, className: onAcknowledge ? "hidden md:table-cell" : "", cell: (alarm) => <State alarm={alarm} /> },
  ];
  if (!onAcknowledge) return columns;
  const cell = (alarm: Alarm) => <Button onClick={() => onAcknowledge(alarm)} aria-label={t.acknowledgeOf(alarm.device_id)}>{t.acknowledge}</Button>;
  return [...columns, { id: "actions", title: t.columns.actions, quiet: true, className: "text-right max-md:px-2", cell }];
}

function What({ alarm }: { alarm: Alarm }) {
  const isRed = alarm.level === "alarm";
  const Icon = isRed ? BellRing : TriangleAlert;
  const tone = alarm.state === "cleared" ? "neutral" : isRed ? "danger" : "warn";
  return (
    <span className="flex flex-wrap items-center gap-x-1 max-md:py-1.5">
      <Badge tone={tone} icon={<Icon size={11} aria-hidden />}>{t.kinds[alarm.kind]}, {t.levels[alarm.level]}</Badge>
      {alarm.flapping && <Badge title={t.flappingHint}>{t.flapping(alarm.openings ?? 1)}</Badge>}
      {/* A phone has no columns for these. */}
      <span className="w-full text-xs text-muted md:hidden">{plainReason(alarm.reason)} · {formatAgo(alarm.opened_at)}</span>
    </span>
  );
}

function State({ alarm }: { alarm: Alarm }) {
  return (
    <div className="min-w-40 py-1">
      <span>{t.states[alarm.state]}</span>
      {alarm.cleared_at && <span className="text-muted"> {t.clearedAgo(formatAgo(alarm.cleared_at), plainReason(alarm.clear_reason ?? ""))}</span>}
      {alarm.acknowledged_by && <span className="block text-xs text-muted">{t.by(alarm.acknowledged_by)}{alarm.note ? `: ${alarm.note}` : ""}</span>}
    </div>
  );
}
