import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Activity, Download } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { trackDetail } from "../api/queries";
import { downloadText } from "../app/download";
import { setSearch, useSearch } from "../app/router";
import { makeThrottle } from "../live/throttle";
import { useLive } from "../live/useLive";
import { activityTexts as t } from "../texts/activity";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { SelectField, TextField } from "../ui/Field";
import { Menu, MenuItem } from "../ui/Menu";
import { Empty, ErrorState, Skeleton } from "../ui/states";
import { ActivityLine } from "./ActivityLine";
import { addItems, filterItems, readFilter, toCsv, writeKinds, type ActivityFilter } from "./filter";
import { activityHistory, activityKey, FIRST_DEPTH, MOST_ITEMS } from "./history";
import { KINDS, toItem, type ActivityItem } from "./items";
import { usePins } from "./pins";

const PAGE = 150;
/** A flood of events is one redraw. */
const EVERY_MS = 400;

/** What happened: jobs, deployments, edits and alarms, as they happen. */
export function ActivityLog() {
  const queryClient = useQueryClient();
  const [depth, setDepth] = useState(FIRST_DEPTH);
  const [shown, setShown] = useState(PAGE);
  const history = useQuery({ ...activityHistory(depth), placeholderData: (before) => before });
  const pins = usePins();
  const parameters = useSearch().toString();
  const filter = useMemo(() => readFilter(new URLSearchParams(parameters)), [parameters]);
  const incoming = useMemo(
    () => makeThrottle<ActivityItem>(EVERY_MS, (added) => queryClient.setQueryData<ActivityItem[]>(activityKey(depth), (items) => items && addItems(items, added, MOST_ITEMS))),
    [queryClient, depth],
  );
  useEffect(() => incoming.stop, [incoming]);
  useLive("activity", (event) => {
    const item = toItem(event);
    if (item) incoming.add(item);
  });

  const titleOf = (trackId: string) => queryClient.getQueryData(trackDetail(trackId).queryKey)?.data.track.title ?? trackId;
  const items = filterItems(history.data ?? [], filter, titleOf);
  const pinned = new Set(pins.map(({ id }) => id));
  const save = (kind: "csv" | "json") => {
    if (kind === "csv") downloadText(t.exportName(kind), toCsv(items, titleOf), "text/csv");
    else downloadText(t.exportName(kind), `${JSON.stringify(items, null, 2)}\n`, "application/json");
  };
  const earlier = <Button busy={history.isFetching} onClick={() => { setDepth(depth * 4); setShown(shown + PAGE); }}>{t.earlier}</Button>;
  return (
    <section aria-label={t.log} className="flex h-full min-h-0 flex-col">
      <FilterBar filter={filter} count={items.length} onExport={save} />
      <div className="min-h-0 flex-1 overflow-y-auto" tabIndex={0} role="group" aria-label={t.title}>
        {pins.length > 0 && (
          <>
            <h2 className="px-3 pt-2 pb-1 text-2xs font-semibold tracking-wide text-muted uppercase">{t.pinned}</h2>
            <ul className="border-b-2 border-line">{pins.map((item) => <ActivityLine key={item.id} item={item} isPinned />)}</ul>
          </>
        )}
        {history.isPending && <div className="flex flex-col gap-2 p-3"><Skeleton className="h-9 w-full" /><Skeleton className="h-9 w-full" /><Skeleton className="h-9 w-full" /></div>}
        {history.isError && <ErrorState error={history.error} onRetry={() => void history.refetch()} />}
        {history.data && items.length === 0 && (history.data.length === 0 ? <Empty icon={<Activity size={28} />} title={t.empty} text={t.emptyText} className="h-64" /> : <Empty title={t.noMatch} text={t.noMatchText} className="h-64" action={<Button onClick={() => setSearch({ log: undefined, kinds: undefined, least: undefined })}>{t.clear}</Button>} />)}
        <ul aria-label={t.today}>{items.slice(0, shown).map((item) => <ActivityLine key={item.id} item={item} isPinned={pinned.has(item.id)} />)}</ul>
        {history.data && history.data.length > 0 && (
          <div className="flex justify-center gap-2 p-3">
            {items.length > shown ? <Button onClick={() => setShown(shown + PAGE)}>{t.more}</Button> : depth < MOST_ITEMS * 4 && earlier}
          </div>
        )}
      </div>
    </section>
  );
}

interface FilterBarProps {
  filter: ActivityFilter;
  count: number;
  onExport: (kind: "csv" | "json") => void;
}

function FilterBar({ filter, count, onExport }: FilterBarProps) {
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line bg-panel p-2">
      <div className="w-full md:w-56">
        <TextField label={t.filter} quiet type="search" placeholder={t.filterHint} value={filter.text} onChange={({ target }) => setSearch({ log: target.value })} />
      </div>
      <div role="group" aria-label={t.kindsLabel} className="flex flex-wrap gap-1">
        {KINDS.map((kind) => {
          const isOn = filter.kinds.has(kind);
          const toggled = new Set(filter.kinds);
          if (!toggled.delete(kind)) toggled.add(kind);
          return (
            <button key={kind} type="button" aria-pressed={isOn} onClick={() => setSearch({ kinds: writeKinds(toggled) })} className={cx("touch-target h-7 rounded-full border px-3 text-xs", isOn ? "border-transparent bg-accent-soft text-accent" : "border-line text-muted hover:text-text")}>
              {t.kinds[kind]}
            </button>
          );
        })}
      </div>
      <div className="w-36">
        <SelectField label={t.severity} quiet value={filter.least} onChange={({ target }) => setSearch({ least: target.value === "all" ? undefined : target.value })}>
          <option value="all">{t.severities.all}</option>
          <option value="notice">{t.severities.notice}</option>
          <option value="bad">{t.severities.bad}</option>
        </SelectField>
      </div>
      <span role="status" className="flex-1 text-right text-xs text-muted">{t.count(count)}</span>
      <Menu trigger={<Button size="sm" icon={<Download size={13} aria-hidden />} disabled={count === 0}>{t.export}</Button>}>
        <MenuItem onSelect={() => onExport("csv")}>{t.exportCsv}</MenuItem>
        <MenuItem onSelect={() => onExport("json")}>{t.exportJson}</MenuItem>
      </Menu>
    </div>
  );
}
