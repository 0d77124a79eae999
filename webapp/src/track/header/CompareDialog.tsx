import { useQuery } from "@tanstack/react-query";
import { Waves } from "lucide-react";
import { Suspense, useState } from "react";
import type { Schemas } from "../../api/types";
import { formatTime } from "../../app/format";
import { part } from "../../app/part";
import { navigate } from "../../app/router";
import { texts } from "../../texts";
import { track as trackTexts } from "../../texts/track/track";
import { Button, Dialog, ErrorState, SelectField, Skeleton, Table } from "../../ui";
import { formatClock } from "../clock";
import { comparison } from "../queries";
import { originOf } from "./version";

/** With what tells graphs apart, which the page of a track does without. */
const GraphComparison = part(() => import("../graph/GraphComparison"));

const t = trackTexts.compare;
const SHOWN_TIMES = 8;

export interface CompareDialogProps {
  trackId: string;
  /** From the newest to the oldest. */
  versions: readonly Schemas["VersionSummary"][];
  version: number;
  onClose: () => void;
}

/** What changed from another version to the one that is shown: figures, beats and graph. */
export function CompareDialog({ trackId, versions, version, onClose }: CompareDialogProps) {
  const others = versions.filter((each) => each.version !== version);
  const [other, setOther] = useState((others.find((each) => each.version < version) ?? others[0])?.version ?? version);
  const query = useQuery(comparison(trackId, version, other));
  const showOnBeats = (): void => {
    onClose();
    const parameters = new URLSearchParams(location.search);
    parameters.set("with", String(other));
    navigate(`/tracks/${trackId}/beats?${parameters.toString()}`);
  };
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title={t.title(version)}
      footer={
        <Button icon={<Waves size={14} aria-hidden />} onClick={showOnBeats}>
          {trackTexts.comparison.showOnBeats}
        </Button>
      }
    >
      <div className="flex flex-col gap-4">
        <SelectField label={t.with} value={other} onChange={(event) => setOther(Number(event.target.value))}>
          {others.map((each) => (
            <option key={each.version} value={each.version}>
              {trackTexts.header.version(each.version)} · {originOf(each)} · {formatTime(each.created_at)}
            </option>
          ))}
        </SelectField>
        {query.isError && <ErrorState error={query.error} onRetry={() => void query.refetch()} />}
        {query.isPending && <Skeleton className="h-48" />}
        {query.data && <Result comparison={query.data} />}
        <Suspense fallback={null}>
          <GraphComparison trackId={trackId} version={version} other={other} />
        </Suspense>
      </div>
    </Dialog>
  );
}

function Result({ comparison: { metrics, beats, downbeats, version, with_version } }: { comparison: Schemas["VersionComparison"] }) {
  return (
    <>
      <BeatLine label={t.beats} changes={beats} />
      <BeatLine label={t.bars} changes={downbeats} />
      {metrics.length === 0 ? (
        <p className="text-sm text-muted">{t.sameMetrics}</p>
      ) : (
        <Table
          label={t.metrics}
          rows={metrics}
          rowKey={({ name }) => name}
          columns={[
            { id: "name", title: t.metric, cell: ({ name }) => t.names[name] ?? name.replaceAll("_", " ") },
            { id: "before", title: trackTexts.header.version(with_version), numeric: true, cell: ({ before }) => show(before) },
            { id: "after", title: trackTexts.header.version(version), numeric: true, cell: ({ after }) => show(after) },
            { id: "delta", title: t.delta, numeric: true, cell: ({ delta }) => (delta == null ? "" : `${delta > 0 ? "+" : ""}${show(delta)}`) },
          ]}
        />
      )}
    </>
  );
}

function BeatLine({ label, changes: { moved, added, removed, unchanged } }: { label: string; changes: Schemas["TimedBeatChanges"] }) {
  const times = [...moved.map(({ after_ms }) => after_ms), ...added, ...removed].sort((one, other) => one - other);
  const shown = times.slice(0, SHOWN_TIMES).map((ms) => formatClock(ms, 10));
  return (
    <div>
      <p className="text-sm">
        <span className="font-medium">{label}</span> · {t.changes(moved.length, added.length, removed.length, unchanged)}
      </p>
      {times.length > 0 && <p className="text-xs text-muted">{t.at(shown.join(", "), times.length - shown.length)}</p>}
    </div>
  );
}

function show(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return texts.common.noValue;
  return typeof value === "number" ? String(Math.round(value * 10_000) / 10_000).replace("-", "−") : value;
}
