import { useQuery } from "@tanstack/react-query";
import { Suspense, useEffect, type ReactNode } from "react";
import type { TrackDetail } from "../api/types";
import { useMay } from "../api/useSession";
import { formatTime } from "../app/format";
import { part, preloadWhenIdle } from "../app/part";
import { navigate, setSearch, useSearch } from "../app/router";
import { track as trackTexts } from "../texts/track/track";
import { Button, panelId, Skeleton, tabId, Tabs } from "../ui";
import { BeatsTab } from "./beats/BeatsTab";
import { MetricCards } from "./header/MetricCards";
import { metricsOf } from "./header/metrics";
import { TrackHeader } from "./header/TrackHeader";
import { bundleView, comparison, versionDetail } from "./queries";
import { TAB_IDS, tabOf, type TabId } from "./tabs";
import { useSong } from "./useSong";
import { useTrackActions } from "./useTrackActions";
import { Waiting } from "./Waiting";

const ChartsTab = part(() => import("./charts/ChartsTab"));
const DriftTab = part(() => import("./drift/DriftTab"));
const GraphTab = part(() => import("./graph/GraphTab"));
const ArtefactsTab = part(() => import("./artefacts/ArtefactsTab"));
const NotesTab = part(() => import("./notes/NotesTab"));
const HistoryTab = part(() => import("./history/HistoryTab"));
const SimilarTab = part(() => import("./similar/SimilarTab"));
const SOON = [ChartsTab, DriftTab, GraphTab, ArtefactsTab, NotesTab, HistoryTab, SimilarTab];

const t = trackTexts.header;

export interface OpenTrackProps {
  detail: TrackDetail;
  etag: string | undefined;
  tab: string | undefined;
  /** The time at which the track is shown; null for now. */
  at: string | null;
}

/** A track that has been read: its header, its metrics and its tabs. The player goes on when the tab changes. */
export function OpenTrack({ detail, etag, tab, at }: OpenTrackProps) {
  const { track } = detail;
  const isEditor = useMay("editor");
  const mayEdit = isEditor && at === null && track.deleted_at == null;
  const chosen = Number(useSearch().get("v")) || null;
  const current = track.current_version ?? null;
  const version = detail.versions.some((each) => each.version === chosen) ? chosen : current;
  const before = previousVersion(detail, version);
  const song = useSong(track.id, track.duration_ms ?? 0);
  const actions = useTrackActions(track, etag);
  useEffect(() => preloadWhenIdle(SOON), []);

  const full = useQuery({ ...versionDetail(track.id, version ?? 0), enabled: version !== null });
  const deltas = useQuery({ ...comparison(track.id, version ?? 0, before ?? 0), enabled: version !== null && before !== null });
  const bundle = useQuery({ ...bundleView(track.id, version ?? 0), enabled: version !== null });
  const size = full.data?.artefacts.find(({ type, status }) => type === "bundle" && status === "present")?.size_bytes ?? null;

  const selected = tabOf(tab);
  return (
    <div className="flex min-h-full flex-col">
      <TrackHeader
        detail={detail}
        version={version}
        mayEdit={mayEdit}
        bundle={bundle.isPending && version !== null ? "loading" : bundle.data}
        onVersion={(next) => setSearch({ v: next === current ? undefined : String(next) })}
        onUseVersion={() => version !== null && actions.useVersion(version)}
        onDelete={actions.remove}
      />
      {at !== null && (
        <Notice text={t.asItWas(formatTime(at))} action={t.toNow} onAction={() => setSearch({ at: undefined, v: undefined })} />
      )}
      {at === null && track.deleted_at != null && (
        <Notice text={t.isDeleted(formatTime(track.deleted_at))} action={isEditor ? t.restore : undefined} onAction={actions.restore} />
      )}
      {version !== null && version !== current && current !== null && (
        <Notice text={t.viewing(version, current)} action={t.toCurrent(current)} onAction={() => setSearch({ v: undefined })} />
      )}
      {version !== null && <MetricCards metrics={metricsOf(full.data?.metrics, size, deltas.data)} before={before} />}
      <Tabs
        label={trackTexts.tabs.label}
        tabs={TAB_IDS.map((id) => ({ id, label: trackTexts.tabs[id] }))}
        selected={selected}
        onSelect={(id) => navigate(`/tracks/${track.id}/${id}${location.search}`)}
      />
      {version === null ? (
        <Panel id={selected}>{isOfTrack(selected) ? <TabContent id={selected} detail={detail} version={0} mayEdit={mayEdit} song={song} /> : <Waiting track={track} isNow={at === null} />}</Panel>
      ) : (
        <BeatsTab key={chosen ?? "current"} trackId={track.id} version={version} versions={detail.versions} song={song} mayEdit={mayEdit} shown={selected === "beats"}>
          {selected !== "beats" && (
            <Panel id={selected}>
              <TabContent id={selected} detail={detail} version={version} mayEdit={mayEdit} song={song} />
            </Panel>
          )}
        </BeatsTab>
      )}
    </div>
  );
}

function previousVersion({ versions }: TrackDetail, version: number | null): number | null {
  const earlier = versions.map((each) => each.version).filter((each) => version !== null && each < version);
  return earlier.length === 0 ? null : Math.max(...earlier);
}

/** Tell whether a tab shows the track as a whole and not one of its versions. */
function isOfTrack(id: TabId): boolean {
  return id === "notes" || id === "history";
}

interface TabContentProps {
  id: TabId;
  detail: TrackDetail;
  version: number;
  mayEdit: boolean;
  song: ReturnType<typeof useSong>;
}

function TabContent({ id, detail, version, mayEdit, song }: TabContentProps) {
  const trackId = detail.track.id;
  const content: Partial<Record<TabId, ReactNode>> = {
    charts: <ChartsTab trackId={trackId} version={version} song={song} />,
    drift: <DriftTab trackId={trackId} version={version} song={song} />,
    graph: <GraphTab trackId={trackId} version={version} song={song} mayEdit={mayEdit} />,
    artefacts: <ArtefactsTab trackId={trackId} version={version} mayEdit={mayEdit} />,
    notes: <NotesTab track={detail.track} mayEdit={mayEdit} />,
    history: <HistoryTab trackId={trackId} />,
    similar: <SimilarTab trackId={trackId} />,
  };
  return <Suspense fallback={<Skeleton className="m-3 h-64" />}>{content[id]}</Suspense>;
}

function Panel({ id, children }: { id: TabId; children: ReactNode }) {
  return (
    <div id={panelId(id)} role="tabpanel" aria-labelledby={tabId(id)} className="flex min-h-0 flex-1 flex-col">
      {children}
    </div>
  );
}

function Notice({ text, action, onAction }: { text: string; action: string | undefined; onAction: () => void }) {
  return (
    <div role="status" className="flex min-h-10 items-center gap-3 border-b border-line bg-warn-soft px-4 py-1 text-sm text-warn">
      <span className="min-w-0 flex-1">{text}</span>
      {action !== undefined && (
        <Button size="sm" onClick={onAction}>
          {action}
        </Button>
      )}
    </div>
  );
}
