import { CircleCheck, CloudUpload, Package, Radio, TriangleAlert, Waves } from "lucide-react";
import type { ReactNode } from "react";
import type { Schemas, TrackDetail } from "../../api/types";
import { useMay } from "../../api/useSession";
import { formatAgo, formatTime } from "../../app/format";
import { openDeploy } from "../../deploy/openDeploy";
import { track as trackTexts } from "../../texts/track/track";
import { Badge, Button, cx, type Tone } from "../../ui";
import { RiskStrip, type Bundle } from "./RiskStrip";
import { TelemetryBadge } from "./TelemetryBadge";
import { TrackMenu } from "./TrackMenu";
import { originOf } from "./version";
import { VersionTools } from "./VersionTools";

const t = trackTexts.header;

export interface TrackHeaderProps {
  detail: TrackDetail;
  /** The version that is shown. */
  version: number | null;
  mayEdit: boolean;
  bundle: Bundle;
  onVersion: (version: number) => void;
  onUseVersion: () => void;
  onDelete: () => void;
}

/** Title, states with their times, the version, and what can be done with the track. */
export function TrackHeader({ detail, version, mayEdit, bundle, onVersion, onUseVersion, onDelete }: TrackHeaderProps) {
  const { track, versions, deployments } = detail;
  const mayDeploy = useMay("operator");
  const shown = versions.find((each) => each.version === version);
  const file = shown?.artefacts.find(({ type, status }) => type === "bundle" && status === "present");
  const deployed = deployments.find(({ status }) => status === "succeeded");
  return (
    <header className="border-b border-line bg-panel px-4 pt-3 pb-2">
      <div className="flex flex-wrap items-start justify-end gap-2">
        <div className="min-w-0 grow basis-64">
          <h1 className="truncate text-xl font-semibold" title={track.title}>
            {track.title}
          </h1>
          <p className="truncate text-sm text-muted">{track.artist ?? t.unknownArtist}</p>
        </div>
        <div className="flex max-w-full items-center gap-2 max-md:w-full">
          <VersionTools detail={detail} version={version} mayEdit={mayEdit} onVersion={onVersion} onUseVersion={onUseVersion} />
          {mayDeploy && track.deleted_at == null && version !== null && (
            <Button
              tone="primary"
              // Wider windows have it in the toolbar.
              className="md:hidden"
              icon={<Radio size={14} aria-hidden />}
              disabled={!file}
              title={file ? `${t.deploy} (D)` : t.deployNeedsBundle}
              onClick={() => openDeploy({ trackId: track.id, version })}
            >
              {t.deploy}
            </Button>
          )}
          <TrackMenu trackId={track.id} version={version} mayEdit={mayEdit} onDelete={onDelete} />
        </div>
      </div>
      <div className={cx("mt-2 flex flex-wrap items-center gap-1.5", SCROLLS)} tabIndex={0} role="group" aria-label={t.states}>
        <StatusBadge status={track.status} />
        <TimeBadge icon={<CloudUpload size={12} aria-hidden />} label={t.uploaded} time={track.created_at} />
        {shown && <TimeBadge icon={<Waves size={12} aria-hidden />} label={shown.job_id == null ? originOf(shown) : t.analysed} time={shown.created_at} />}
        {file ? (
          <TimeBadge icon={<Package size={12} aria-hidden />} label={t.bundled} tone="ok" hint={t.bundleReady} time={file.created_at ?? shown?.created_at ?? track.updated_at} />
        ) : (
          <Badge icon={<Package size={12} aria-hidden />}>{t.noBundle}</Badge>
        )}
        {deployed ? (
          <TimeBadge icon={<Radio size={12} aria-hidden />} label={`${t.deployed} v${deployed.version}`} time={deployed.ended_at ?? deployed.updated_at} />
        ) : (
          <Badge icon={<Radio size={12} aria-hidden />}>{t.notDeployed}</Badge>
        )}
        <RiskStrip bundle={bundle} />
        <TelemetryBadge trackId={track.id} />
      </div>
    </header>
  );
}

/** A row of small things that a phone scrolls sideways. */
const SCROLLS = "relative max-md:flex-nowrap max-md:overflow-x-auto max-md:[scrollbar-width:none]";

interface TimeBadgeProps {
  icon: ReactNode;
  label: string;
  time: string;
  tone?: Tone;
  hint?: string;
}

function TimeBadge({ icon, label, time, tone = "neutral", hint = label }: TimeBadgeProps) {
  return (
    <Badge tone={tone} icon={icon} title={`${hint}: ${formatTime(time)}`}>
      <span className="max-w-56 truncate">{label}</span> <span className={cx("font-normal", tone === "neutral" && "text-muted")}>{formatAgo(time)}</span>
    </Badge>
  );
}

const STATUS: Partial<Record<Schemas["TrackStatus"], { tone: Tone; label: string; icon: ReactNode }>> = {
  ready: { tone: "ok", label: t.ready, icon: <CircleCheck size={12} aria-hidden /> },
  warning: { tone: "warn", label: t.review, icon: <TriangleAlert size={12} aria-hidden /> },
  processing: { tone: "accent", label: t.processing, icon: <Waves size={12} aria-hidden /> },
  failed: { tone: "danger", label: t.failed, icon: <TriangleAlert size={12} aria-hidden /> },
};

function StatusBadge({ status }: { status: Schemas["TrackStatus"] }) {
  const known = STATUS[status];
  return known ? (
    <Badge tone={known.tone} icon={known.icon}>
      {known.label}
    </Badge>
  ) : null;
}
