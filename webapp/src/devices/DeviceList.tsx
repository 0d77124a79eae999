import { defaultRangeExtractor, useVirtualizer } from "@tanstack/react-virtual";
import { CircleAlert, RefreshCw, TriangleAlert } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { Schemas } from "../api/types";
import { formatAgo } from "../app/format";
import { Link } from "../app/router";
import { useSettled } from "../app/useSettled";
import { devicesTexts as t } from "../texts/fleet/devices";
import { plainReason } from "../texts/reasons";
import { Badge } from "../ui/Badge";
import { cx } from "../ui/cx";
import { BundleName } from "./BundleName";
import { differs } from "./filter";
import { PresenceDot } from "./PresenceDot";
import { levelOf, rangeOf } from "./readings";
import { Sparkline } from "./Sparkline";
import { useReadings, useReadingsOf } from "./useReadings";

type Device = Schemas["DeviceView"];

const TONES = { ok: "text-text", warn: "text-warn", danger: "text-danger" } as const;
/** With a device open beside it the list keeps the first and the last columns. */
const WIDE = "grid-cols-[minmax(8rem,1.2fr)_minmax(0,1fr)] md:grid-cols-[minmax(9rem,1.2fr)_minmax(8rem,1.4fr)_9rem_6rem] xl:grid-cols-[minmax(10rem,1fr)_6rem_5rem_minmax(9rem,1.4fr)_minmax(9rem,1.4fr)_13rem_7rem]";
/** Until a row is measured; most have one line. */
const ROW_HEIGHT = 45;
/** Readings follow the rows so long after the list was scrolled. */
const SETTLED_MS = 300;
const NARROW = "grid-cols-[minmax(0,1fr)_minmax(0,1fr)]";

export interface DeviceListProps {
  devices: readonly Device[];
  openId: string | undefined;
}

/** The devices with presence, what they run and their drift as it is. Only the rows in sight exist, and only their readings
 * are listened to. */
export function DeviceList({ devices, openId }: DeviceListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState<number | null>(null);
  const virtualizer = useVirtualizer({
    count: devices.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => devices[index]?.id ?? index,
    overscan: 8,
    // Rows are measured while React renders, when it cannot flush.
    useFlushSync: false,
    // The row with the focus stays, so that the next key goes on from it.
    rangeExtractor: (range) => withRow(defaultRangeExtractor(range), focused, devices.length),
  });
  const rows = virtualizer.getVirtualItems();
  const seen = rows.flatMap(({ index }) => (devices[index]?.online ? devices[index].id : []));
  useReadingsOf(useSettled(seen.join(), SETTLED_MS).split(",").filter(Boolean));

  const openIndex = devices.findIndex(({ id }) => id === openId);
  const isThere = useRef(false);
  useEffect(() => {
    if (!isThere.current && openIndex >= 0) virtualizer.scrollToIndex(openIndex, { align: "center" });
    isThere.current = true;
  }, [openIndex, virtualizer]);

  const isNarrow = openId !== undefined;
  const columns = isNarrow ? NARROW : WIDE;
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div aria-hidden="true" className={cx("grid h-7 shrink-0 items-center gap-3 overflow-hidden border-b border-l-2 border-line border-l-transparent px-3 text-2xs text-muted [scrollbar-gutter:stable]", columns)}>
        <span>{t.columns.device}</span>
        {!isNarrow && <span className="hidden xl:block">{t.columns.group}</span>}
        {!isNarrow && <span className="hidden xl:block">{t.columns.firmware}</span>}
        <span>{t.columns.reports}</span>
        {!isNarrow && <span className="hidden xl:block">{t.columns.desired}</span>}
        {!isNarrow && <span className="hidden md:block">{t.columns.drift}</span>}
        {!isNarrow && <span className="hidden md:block">{t.columns.alarms}</span>}
      </div>
      <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto overscroll-contain [scrollbar-gutter:stable]">
        <ul aria-label={t.title} className="relative" style={{ height: virtualizer.getTotalSize() }}>
          {rows.map(({ index, start }) => {
            const device = devices[index];
            return (
              device && (
                <li
                  key={device.id}
                  ref={virtualizer.measureElement}
                  data-index={index}
                  aria-setsize={devices.length}
                  aria-posinset={index + 1}
                  className="absolute inset-x-0 top-0"
                  style={{ transform: `translateY(${start}px)` }}
                  onFocus={() => setFocused(index)}
                  onBlur={() => setFocused(null)}
                >
                  <DeviceRow device={device} isOpen={device.id === openId} isNarrow={isNarrow} columns={columns} />
                </li>
              )
            );
          })}
        </ul>
      </div>
    </div>
  );
}

/** Return the indices with one more, in their order. */
function withRow(indices: number[], index: number | null, count: number): number[] {
  if (index === null || index >= count || indices.includes(index)) return indices;
  return [...indices, index].sort((one, other) => one - other);
}

function DeviceRow({ device, isOpen, isNarrow, columns }: { device: Device; isOpen: boolean; isNarrow: boolean; columns: string }) {
  const isOther = differs(device);
  return (
    <Link
      to={`/devices/${device.id}${location.search}`}
      aria-current={isOpen ? "true" : undefined}
      className={cx("grid min-h-11 items-center gap-3 border-b border-l-2 border-line px-3 py-1 text-sm -outline-offset-2", columns, isOpen ? "border-l-accent bg-hover" : "border-l-transparent hover:bg-raised")}
    >
      <span className="min-w-0">
        <span className="flex items-center gap-2">
          <PresenceDot online={device.online} />
          <span className="truncate font-medium" title={device.id}>{device.id}</span>
        </span>
        <span className={cx("block truncate pl-4 text-xs text-muted", !isNarrow && device.online && "xl:hidden")}>
          {device.online ? (device.group ?? t.noGroup) : device.last_seen ? t.lastSeen(formatAgo(device.last_seen)) : t.never}
        </span>
      </span>
      {!isNarrow && <span className="hidden truncate text-soft xl:block">{device.group ?? "–"}</span>}
      {!isNarrow && <span className="hidden text-soft xl:block">{device.firmware ?? "–"}</span>}
      <span className="min-w-0">
        <span className="block truncate"><BundleName bundle={device.running} /></span>
        {isOther && <span className={cx("block truncate text-xs text-warn", !isNarrow && "xl:hidden")}>{device.healing ? t.healing : t.differs}</span>}
      </span>
      {!isNarrow && (
        <span className={cx("hidden min-w-0 truncate xl:block", isOther && "text-warn")}>
          {isOther ? <><BundleName bundle={device.expected} />{device.healing && ` · ${t.healing}`}</> : <span className="text-muted">{device.expected ? t.asDesired : "–"}</span>}
        </span>
      )}
      {!isNarrow && <span className="hidden md:block"><Drift device={device} /></span>}
      {!isNarrow && <span className="hidden md:block"><AlarmBadge device={device} isOther={isOther} /></span>}
    </Link>
  );
}

function Drift({ device }: { device: Device }) {
  const line = useReadings(device.id);
  if (!device.online || !line || !device.running) return <span className="text-xs text-muted">{device.online && device.running ? "…" : "–"}</span>;
  const { drift_ms } = line.latest;
  const [least, most] = rangeOf(line.values.drift_ms);
  return (
    <span className="flex items-center gap-2">
      <span className={cx("w-12 shrink-0 text-right", TONES[levelOf("drift_ms", drift_ms)])}>{drift_ms.toFixed(1)}</span>
      <Sparkline line={line} name="drift_ms" hasZero label={t.chart(t.values.drift_ms, drift_ms.toFixed(1), least.toFixed(1), most.toFixed(1))} className="h-6 min-w-0 flex-1" />
    </span>
  );
}

function AlarmBadge({ device, isOther }: { device: Device; isOther: boolean }) {
  const { alarms, healing } = device;
  if (alarms.length > 0) return <Badge tone="danger" icon={<CircleAlert size={11} aria-hidden />} title={alarms.map(({ message }) => plainReason(message)).join("\n")}>{t.alarmCount(alarms.length)}</Badge>;
  if (!isOther) return null;
  return <Badge tone="warn" icon={healing ? <RefreshCw size={11} aria-hidden /> : <TriangleAlert size={11} aria-hidden />} title={t.differs}>{healing ? t.healing : t.columns.desired}</Badge>;
}
