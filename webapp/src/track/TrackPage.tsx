import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, unwrap } from "../api/client";
import { keys, useTrack } from "../api/queries";
import { useMay } from "../api/useSession";
import { navigate, setSearch, useSearch } from "../app/router";
import { track as trackTexts } from "../texts/track";
import { Button, Empty, ErrorState, panelId, Spinner, tabId, Tabs, toastDone, toastError, toastUndo } from "../ui";
import { BeatsTab } from "./beats/BeatsTab";
import { createTimeline } from "./beats/canvas/timeline";
import { MetricCards } from "./header/MetricCards";
import { metricsOf } from "./header/metrics";
import { TrackHeader } from "./header/TrackHeader";
import { bundleView, comparison, versionDetail } from "./queries";

const t = trackTexts;

export interface TrackPageProps {
  trackId: string;
  /** The part of the address behind the track: which tab is shown. */
  tab: string | undefined;
}

type TabId = "beats";

/** Everything about one track. Shown beside the library, and by itself on a phone. */
export default function TrackPage({ trackId, tab }: TrackPageProps) {
  const track = useTrack(trackId);
  if (track.isPending) return <Loading />;
  if (track.isError) return <ErrorState error={track.error} onRetry={() => void track.refetch()} />;
  return <Track key={trackId} trackId={trackId} tab={tab} tagged={track.data} />;
}

function Track({ trackId, tab, tagged }: TrackPageProps & { tagged: NonNullable<ReturnType<typeof useTrack>["data"]> }) {
  const { data: detail, etag } = tagged;
  const { track } = detail;
  const queryClient = useQueryClient();
  const mayEdit = useMay("editor");
  const chosen = Number(useSearch().get("v")) || null;
  const current = track.current_version ?? null;
  const version = detail.versions.some((each) => each.version === chosen) ? chosen : current;
  const durationMs = track.duration_ms ?? 0;
  const timeline = useMemo(() => createTimeline(durationMs), [durationMs]);
  const before = detail.versions.map((each) => each.version).filter((each) => version !== null && each < version).sort((a, b) => b - a)[0] ?? null;

  const full = useQuery({ ...versionDetail(trackId, version ?? 0), enabled: version !== null });
  const deltas = useQuery({ ...comparison(trackId, version ?? 0, before ?? 0), enabled: version !== null && before !== null });
  const bundle = useQuery({ ...bundleView(trackId, version ?? 0), enabled: version !== null });
  const size = full.data?.artefacts.find(({ type, status }) => type === "bundle" && status === "present")?.size_bytes ?? null;

  const useVersion = (): void => {
    const header = etag === undefined ? {} : { header: { "If-Match": etag } };
    const params = { path: { track_id: trackId }, ...header };
    unwrap(api.PATCH("/tracks/{track_id}", { params, body: { current_version: version } })).then(() => {
      toastDone(t.header.setCurrentDone(version ?? 0));
      setSearch({ v: undefined });
      void queryClient.invalidateQueries({ queryKey: keys.tracks });
    }, toastError);
  };
  const remove = (): void => {
    const params = { path: { track_id: trackId } };
    unwrap(api.DELETE("/tracks/{track_id}", { params })).then(({ undo_token }) => {
      navigate("/tracks");
      void queryClient.invalidateQueries({ queryKey: keys.tracks });
      toastUndo(t.header.deleted(track.title), () => {
        unwrap(api.POST("/tracks/{track_id}/restore", { params, body: { undo_token } })).then(() => {
          toastDone(t.header.restored(track.title));
          void queryClient.invalidateQueries({ queryKey: keys.tracks });
          navigate(`/tracks/${trackId}`);
        }, toastError);
      });
    }, toastError);
  };

  const selected: TabId = "beats";
  return (
    <div className="flex min-h-full flex-col">
      <TrackHeader
        detail={detail}
        version={version}
        mayEdit={mayEdit}
        bundle={bundle.data}
        onVersion={(next) => setSearch({ v: next === current ? undefined : String(next) })}
        onUseVersion={useVersion}
        onDelete={remove}
      />
      {version !== null && version !== current && current !== null && (
        <div role="status" className="flex items-center gap-3 border-b border-line bg-warn-soft px-4 py-1.5 text-sm text-warn">
          <span className="flex-1">{t.header.viewing(version, current)}</span>
          <Button size="sm" onClick={() => setSearch({ v: undefined })}>
            {t.header.toCurrent(current)}
          </Button>
        </div>
      )}
      <MetricCards metrics={metricsOf(full.data?.metrics, size, deltas.data)} before={before} />
      <Tabs
        label={t.tabs.label}
        tabs={[{ id: "beats", label: t.tabs.beats }]}
        selected={selected}
        onSelect={(id) => navigate(`/tracks/${trackId}/${id}${location.search}`)}
      />
      <div id={panelId(selected)} role="tabpanel" aria-labelledby={tabId(selected)} className="flex-1">
        {version === null ? (
          <Empty title={t.header.processing} text={tab} />
        ) : (
          <BeatsTab key={chosen ?? "current"} trackId={trackId} version={version} timeline={timeline} />
        )}
      </div>
    </div>
  );
}

function Loading() {
  return (
    <p role="status" className="flex items-center gap-2 p-4 text-muted">
      <Spinner />
      {t.loading}
    </p>
  );
}
