import { useQuery } from "@tanstack/react-query";
import { ClipboardCopy, Download, Image, Table } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { track as trackTexts } from "../../texts/track/track";
import { Button, ErrorState, Menu, MenuItem, MenuLabel, MenuSeparator, Skeleton, toastDone, toastMessage } from "../../ui";
import type { Palette } from "../beats/canvas/paint/palette";
import { changeView } from "../beats/canvas/timeline";
import { usePalette } from "../beats/canvas/usePalette";
import { fitView, inside, spanOf, type View } from "../beats/canvas/view";
import { Segments } from "../beats/toolbar/Segments";
import { chartLayers } from "../queries";
import type { Song } from "../useSong";
import { MAX_POINTS, partOf } from "./buckets";
import { Chart } from "./Chart";
import { curvesOf, pathOf, summarise, toCsv, type ChartId, type Curve } from "./curves";
import { saveFile, savePicture } from "./export";

const t = trackTexts.charts;
const SETTLE_MS = 120;
const CHARTS = ["bands", "dynamics", "spectral"] as const;
const SPANS_S = [5, 15, 60] as const;

export interface ChartsTabProps {
  trackId: string;
  version: number;
  song: Song;
}

/** Bands, dynamics and spectrum of the visible part of the song. */
export default function ChartsTab({ trackId, version, song }: ChartsTabProps) {
  const { timeline } = song;
  const view = useSettledView(song);
  const part = partOf(view, timeline.durationMs);
  const query = useQuery({
    ...chartLayers(trackId, version, ["frequency", "dynamics", "spectral"], part.startMs, part.endMs, MAX_POINTS),
    placeholderData: (before) => before,
  });
  const frame = useRef<HTMLDivElement>(null);
  const palette = usePalette(frame);
  const shown = useOneByOne(CHARTS.length);
  return (
    <div ref={frame} className="flex flex-col">
      <Zoom song={song} view={view} />
      {query.isError && <ErrorState error={query.error} onRetry={() => void query.refetch()} />}
      {query.isPending && <Skeleton className="m-3 h-96" />}
      {query.data && palette !== null && (
        CHARTS.slice(0, shown).map((id) => (
          <ChartPanel key={id} id={id} name={`${trackId}-v${version}-${id}`} layers={query.data.layers} song={song} view={view} palette={palette} />
        ))
      )}
    </div>
  );
}

/** Buttons for usual lengths of the visible part; it stays around its middle. */
function Zoom({ song: { timeline }, view }: { song: Song; view: View }) {
  const { durationMs } = timeline;
  const spans = SPANS_S.filter((seconds) => 1000 * seconds < durationMs);
  const shown = spanOf(view) >= durationMs - 1 ? "all" : String(spanOf(view) / 1000);
  const select = (id: string): void =>
    changeView(timeline, ({ startMs, endMs }) => {
      if (id === "all") return fitView(durationMs);
      const half = Number(id) * 500;
      const middle = (startMs + endMs) / 2;
      return inside({ startMs: middle - half, endMs: middle + half }, durationMs);
    });
  return (
    <div className="flex min-h-10 items-center gap-3 border-b border-line bg-panel px-3">
      <Segments
        label={t.zoom}
        selected={shown}
        onSelect={select}
        options={[...spans.map((seconds) => ({ id: String(seconds), label: t.seconds(seconds) })), { id: "all", label: t.whole }]}
      />
      <span className="text-xs text-muted max-md:hidden">{t.hint}</span>
    </div>
  );
}

interface ChartPanelProps {
  id: ChartId;
  /** The name of files. */
  name: string;
  layers: Parameters<typeof curvesOf>[1];
  song: Song;
  view: View;
  palette: Palette;
}

function ChartPanel({ id, name, layers, song, view, palette }: ChartPanelProps) {
  const curves = useMemo(() => curvesOf(id, layers), [id, layers]);
  const [canvas, setCanvas] = useState<HTMLCanvasElement | null>(null);
  const summaryId = `chart-${id}-summary`;
  const title = t[id];
  return (
    <section aria-label={title} className="border-b border-line px-3 py-2">
      <header className="flex items-center gap-3">
        <h2 className="text-sm font-semibold">{title}</h2>
        <p className="min-w-0 flex-1 truncate text-xs text-muted">{t.hints[id]}</p>
        <ExportMenu curves={curves} name={name} view={view} durationMs={song.timeline.durationMs} canvas={canvas} palette={palette} />
      </header>
      <Chart curves={curves} song={song} palette={palette} label={title} describedBy={summaryId} onCanvas={setCanvas} />
      <p id={summaryId} className="pb-1 text-xs text-soft">
        {summarise(curves, view)}
      </p>
    </section>
  );
}

interface ExportMenuProps {
  curves: readonly Curve[];
  name: string;
  view: View;
  durationMs: number;
  canvas: HTMLCanvasElement | null;
  palette: Palette;
}

function ExportMenu({ curves, name, view, durationMs, canvas, palette }: ExportMenuProps) {
  const copy = (curve: Curve): void => {
    navigator.clipboard.writeText(pathOf(curve, view, durationMs)).then(
      () => toastDone(t.copied, { description: pathOf(curve, view, durationMs) }),
      () => toastMessage(t.copyFailed, { description: pathOf(curve, view, durationMs) }),
    );
  };
  return (
    <Menu
      trigger={
        <Button size="sm" tone="ghost" icon={<Download size={14} aria-hidden />}>
          {t.download}
        </Button>
      }
    >
      <MenuItem icon={<Image size={14} aria-hidden />} onSelect={() => canvas && savePicture(`${name}.png`, canvas, palette.lane)}>
        {t.png}
      </MenuItem>
      <MenuItem icon={<Table size={14} aria-hidden />} onSelect={() => saveFile(`${name}.csv`, new Blob([toCsv(curves, view)], { type: "text/csv" }))}>
        {t.csv}
      </MenuItem>
      <MenuSeparator />
      <MenuLabel>{t.copyPath}</MenuLabel>
      {curves.map((curve) => (
        <MenuItem key={curve.id} icon={<ClipboardCopy size={14} aria-hidden />} onSelect={() => copy(curve)}>
          {t.series[curve.id]}
        </MenuItem>
      ))}
    </Menu>
  );
}

/** Return how many of some things to show: one at once and one more in each frame, so that the tab opens at once. */
function useOneByOne(count: number): number {
  const [shown, setShown] = useState(1);
  useEffect(() => {
    if (shown >= count) return undefined;
    const frame = requestAnimationFrame(() => setShown(shown + 1));
    return () => cancelAnimationFrame(frame);
  }, [shown, count]);
  return shown;
}

/** Return the view once it stands still for a moment, so that following the playhead renders little. */
function useSettledView({ timeline }: Song): View {
  const [view, setView] = useState(timeline.view.get());
  useEffect(() => {
    let timer = 0;
    const settle = (): void => {
      if (timer !== 0) return;
      timer = window.setTimeout(() => {
        timer = 0;
        setView(timeline.view.get());
      }, SETTLE_MS);
    };
    settle();
    const stop = timeline.view.subscribe(settle);
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [timeline]);
  return view;
}
