import { useQuery } from "@tanstack/react-query";
import { History } from "lucide-react";
import { useRef, useState } from "react";
import type { Schemas } from "../../api/types";
import { formatSpan } from "../../app/format";
import { telemetryTexts as t } from "../../texts/fleet/telemetry";
import { Segments } from "../../track/beats/toolbar/Segments";
import type { Palette } from "../../track/beats/canvas/paint/palette";
import { usePalette } from "../../track/beats/canvas/usePalette";
import { Empty, ErrorState, Skeleton } from "../../ui/states";
import { deviceHistory, WINDOWS, type HistoryWindow } from "./queries";
import { rangeOfSeries, type FieldSeries } from "./series";
import { TimeChart } from "./TimeChart";

/** The stored telemetry of a device: a chart for each value, over a window that ends now. */
export default function DeviceHistory({ deviceId }: { deviceId: string }) {
  const [last, setLast] = useState<HistoryWindow>("900");
  const found = useQuery(deviceHistory(deviceId, last));
  const frame = useRef<HTMLDivElement>(null);
  const palette = usePalette(frame);
  return (
    <div ref={frame}>
      <div className="mb-2 flex flex-wrap items-center gap-3">
        <Segments label={t.window} selected={last} onSelect={setLast} options={WINDOWS.map((id) => ({ id, label: t.windows[id] }))} />
        {found.data && found.data.readings > 0 && <p className="text-xs text-muted">{t.summary(found.data.readings.toLocaleString(), stepText(found.data))}</p>}
      </div>
      {found.isPending && <Skeleton className="h-64 w-full" />}
      {found.isError && <ErrorState error={found.error} onRetry={() => void found.refetch()} />}
      {found.data?.readings === 0 && <Empty icon={<History size={24} />} title={t.empty} text={t.emptyText} className="h-40 rounded border border-line bg-panel" />}
      {found.data && found.data.readings > 0 && palette !== null && <Charts history={found.data} palette={palette} />}
    </div>
  );
}

function Charts({ history, palette }: { history: Schemas["TelemetrySeries"]; palette: Palette }) {
  return (
    <div className="grid grid-cols-1 gap-2 xl:grid-cols-2">
      {history.series.map((series) => <FieldChart key={series.field} series={series} history={history} palette={palette} />)}
    </div>
  );
}

function FieldChart({ series, history, palette }: { series: FieldSeries; history: Schemas["TelemetrySeries"]; palette: Palette }) {
  const range = rangeOfSeries(series);
  const name = t.values[series.field];
  const id = `history-${series.field}`;
  const text = range && t.chart(show(range.least), show(range.mean), show(range.most), t.units[series.field]);
  const p95 = series.p95 && series.p95.length > 0 ? Math.max(...series.p95) : undefined;
  return (
    <div className="min-w-0 rounded border border-line bg-panel px-2 py-2">
      <h4 className="px-1 text-xs font-medium text-soft">{name}, {t.units[series.field]}</h4>
      <TimeChart
        series={series}
        stepS={history.step_s}
        startMs={Date.parse(history.starts_at)}
        endMs={Date.parse(history.ends_at)}
        palette={palette}
        label={name}
        describedBy={id}
      />
      <p id={id} className="px-1 text-xs text-muted">{text}{p95 !== undefined && ` ${t.percentile(show(p95))}`}</p>
    </div>
  );
}

function stepText({ step_s }: Schemas["TelemetrySeries"]): string {
  return step_s == null ? t.single : t.step(formatSpan(step_s));
}

function show(value: number): string {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString() : value.toFixed(1);
}
