import { useQuery } from "@tanstack/react-query";
import { AudioLines, CircleCheck, TriangleAlert } from "lucide-react";
import type { Schemas } from "../../api/types";
import { navigate } from "../../app/router";
import { driftTexts as t } from "../../texts/fleet/telemetry";
import { track as trackTexts } from "../../texts/track/track";
import { Button, Empty, ErrorState, Skeleton, Table } from "../../ui";
import { changeView } from "../beats/canvas/timeline";
import { zoomToPart } from "../beats/canvas/view";
import { formatClock } from "../clock";
import { trackDrift } from "../queries";
import type { Song } from "../useSong";
import { DriftPicture } from "./DriftPicture";

const OFF_MS = 20;
const sectionNames: Readonly<Record<string, string | undefined>> = trackTexts.editor.sections;
/** So much of the song is shown around a place. */
const AROUND_MS = 2000;

export interface DriftTabProps {
  trackId: string;
  version: number;
  song: Song;
}

/** Where devices lose the beat of a version: by section and by beat, with a way to these beats in the editor. */
export default function DriftTab({ trackId, version, song }: DriftTabProps) {
  const found = useQuery(trackDrift(trackId, version));
  if (found.isPending) return <Skeleton className="m-3 h-64" />;
  if (found.isError) return <ErrorState error={found.error} onRetry={() => void found.refetch()} />;
  const drift = found.data;
  const show = (fromMs: number, toMs: number): void => {
    changeView(song.timeline, (_view, durationMs) => zoomToPart(fromMs - AROUND_MS, toMs + AROUND_MS, durationMs));
    song.engine.seek(fromMs);
    navigate(`/tracks/${trackId}/beats${location.search}`);
  };
  return (
    <div className="flex flex-col">
      <Summary drift={drift} />
      {drift.figures && <Suggestions suggestions={drift.suggestions} onShow={show} />}
      {drift.figures && <DriftPicture drift={drift} durationMs={song.timeline.durationMs} />}
      {drift.figures && <Sections drift={drift} onShow={show} />}
    </div>
  );
}

function Summary({ drift: { counts, devices, plays, figures, beats_from } }: { drift: Schemas["TrackDrift"] }) {
  const ignored = (["other_version", "outside", "unplaced"] as const).flatMap((kind) => (counts[kind] > 0 ? [t.kinds[kind](counts[kind].toLocaleString())] : []));
  return (
    <header className="flex flex-col gap-1 border-b border-line px-4 py-3 text-sm">
      <h2 className="font-semibold">{t.title}</h2>
      {figures ? (
        <p className="text-soft">
          {t.measured(counts.joined.toLocaleString(), devices, plays)} {t.whole(figures.mean_abs_ms.toFixed(1), figures.max_abs_ms.toFixed(1), `${Math.round(100 * figures.off_share)} %`)}
        </p>
      ) : (
        <Empty icon={<AudioLines size={24} />} title={t.empty} text={t.emptyText} className="h-40" />
      )}
      {ignored.length > 0 && <p className="text-xs text-muted">{t.notCounted} {ignored.join(", ")}.</p>}
      {beats_from === "person" && <p className="text-xs text-muted">{t.byPerson}</p>}
    </header>
  );
}

type OnShow = (fromMs: number, toMs: number) => void;

function Suggestions({ suggestions, onShow }: { suggestions: readonly Schemas["DriftSuggestion"][]; onShow: OnShow }) {
  if (suggestions.length === 0) {
    return <p className="flex items-center gap-1.5 border-b border-line px-4 py-2 text-sm text-muted"><CircleCheck size={14} className="text-ok" aria-hidden />{t.noSuggestion}</p>;
  }
  return (
    <ul aria-label={t.suggestions} className="flex flex-col divide-y divide-line border-b border-line">
      {suggestions.map(({ action, from_ms, to_ms, reason }) => (
        <li key={from_ms} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2 text-sm">
          <TriangleAlert size={14} className="shrink-0 text-warn" aria-hidden />
          <span className="min-w-48 flex-1"><span className="font-medium">{t.actions[action]}, {formatClock(from_ms, 1000)} to {formatClock(to_ms, 1000)}.</span> <span className="text-soft">{reason}</span></span>
          <Button size="sm" onClick={() => onShow(from_ms, to_ms)}>{t.show}</Button>
        </li>
      ))}
    </ul>
  );
}

function Sections({ drift, onShow }: { drift: Schemas["TrackDrift"]; onShow: OnShow }) {
  const columns = t.columns;
  return (
    <Table
      label={t.sections}
      rows={drift.sections}
      rowKey={({ index }) => String(index)}
      columns={[
        { id: "section", title: columns.section, cell: ({ label }) => <span className="font-medium">{sectionNames[label] ?? label}</span> },
        { id: "start", title: columns.start, numeric: true, cell: ({ start_ms }) => formatClock(start_ms, 1000) },
        { id: "drift", title: columns.drift, cell: ({ figures }) => figures && <Amount ms={figures.mean_abs_ms} /> },
        { id: "mean", title: columns.mean, numeric: true, cell: ({ figures }) => figures?.mean_ms.toFixed(1) },
        { id: "worst", title: columns.worst, numeric: true, cell: ({ figures }) => figures?.max_abs_ms.toFixed(1) },
        { id: "off", title: columns.off, numeric: true, cell: ({ figures }) => figures && `${Math.round(100 * figures.off_share)} %` },
        { id: "devices", title: columns.devices, numeric: true, cell: ({ devices_off, devices }) => (devices === 0 ? "–" : t.ofDevices(devices_off, devices)) },
        { id: "confidence", title: columns.confidence, numeric: true, cell: ({ beat_confidence }) => beat_confidence?.toFixed(2) ?? "–" },
        {
          id: "show",
          title: columns.show,
          quiet: true,
          numeric: true,
          cell: ({ label, start_ms, end_ms }) => (
            <Button size="sm" tone="ghost" aria-label={t.showSection(label, formatClock(start_ms, 1000))} onClick={() => onShow(start_ms, end_ms)}>{columns.show}</Button>
          ),
        },
      ]}
    />
  );
}

function Amount({ ms }: { ms: number }) {
  const isOff = ms > OFF_MS;
  return (
    <span className="flex items-center gap-2">
      <span className="h-1.5 w-16 overflow-hidden rounded-full bg-hover" aria-hidden="true">
        <span className={isOff ? "block h-full bg-danger" : "block h-full bg-ok"} style={{ width: `${Math.min(100, ms)}%` }} />
      </span>
      <span className={isOff ? "font-medium text-danger" : undefined}>{ms.toFixed(1)}</span>
    </span>
  );
}
