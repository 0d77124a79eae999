import { CircleCheck, CloudUpload, Ellipsis, Package, Radio, Rocket, Trash2, TriangleAlert, Waves } from "lucide-react";
import type { ReactNode } from "react";
import { API } from "../../api/client";
import type { Schemas, TrackDetail } from "../../api/types";
import { formatAgo, formatTime } from "../../app/format";
import { PAGE_KEYS } from "../../app/shortcuts/pageKeys";
import { openDeploy } from "../../deploy/openDeploy";
import { deployTexts } from "../../texts/deploy";
import { track as trackTexts } from "../../texts/track";
import { Badge, Button, IconButton, Menu, MenuItem, MenuLabel, MenuSeparator, type Tone } from "../../ui";
import { RiskStrip } from "./RiskStrip";

const t = trackTexts.header;

export interface TrackHeaderProps {
  detail: TrackDetail;
  /** The version that is shown. */
  version: number | null;
  mayEdit: boolean;
  bundle: Schemas["BundleView"] | undefined;
  onVersion: (version: number) => void;
  onUseVersion: () => void;
  onDelete: () => void;
}

/** Title, states with their times, the version, and what can be done with the track. */
export function TrackHeader({ detail, version, mayEdit, bundle, onVersion, onUseVersion, onDelete }: TrackHeaderProps) {
  const { track, versions, deployments } = detail;
  const shown = versions.find((each) => each.version === version);
  const current = track.current_version ?? null;
  const file = shown?.artefacts.find(({ type, status }) => type === "bundle" && status === "present");
  const deployed = deployments.find(({ status }) => status === "succeeded");
  return (
    <header className="border-b border-line bg-panel px-4 pt-3 pb-2">
      <div className="flex items-start gap-3">
        <div className="min-w-0 flex-1">
          <h1 className="truncate text-xl font-semibold" title={track.title}>
            {track.title}
          </h1>
          <p className="truncate text-sm text-muted">{track.artist ?? t.unknownArtist}</p>
        </div>
        <VersionSelect versions={versions} version={version} current={current} onVersion={onVersion} />
        {mayEdit && version !== null && version !== current && (
          <Button onClick={onUseVersion} icon={<CircleCheck size={14} aria-hidden />}>
            {t.setCurrent}
          </Button>
        )}
        <TrackMenu trackId={track.id} version={version} mayEdit={mayEdit} onDelete={onDelete} />
      </div>
      <div className="mt-2 flex flex-wrap items-center gap-1.5">
        <StatusBadge status={track.status} />
        <TimeBadge icon={<CloudUpload size={12} aria-hidden />} label={t.uploaded} time={track.created_at} />
        {shown && <TimeBadge icon={<Waves size={12} aria-hidden />} label={t.analysed} time={shown.created_at} />}
        {file ? (
          <TimeBadge icon={<Package size={12} aria-hidden />} label={t.bundled} time={file.created_at ?? shown?.created_at ?? track.updated_at} />
        ) : (
          <Badge icon={<Package size={12} aria-hidden />}>{t.noBundle}</Badge>
        )}
        {deployed ? (
          <TimeBadge icon={<Radio size={12} aria-hidden />} label={`${t.deployed} v${deployed.version}`} time={deployed.ended_at ?? deployed.updated_at} />
        ) : (
          <Badge icon={<Radio size={12} aria-hidden />}>{t.notDeployed}</Badge>
        )}
        <RiskStrip bundle={bundle} />
      </div>
    </header>
  );
}

function TimeBadge({ icon, label, time }: { icon: ReactNode; label: string; time: string }) {
  return (
    <Badge icon={icon} title={`${label}: ${formatTime(time)}`}>
      {label} <span className="font-normal text-muted">{formatAgo(time)}</span>
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

interface VersionSelectProps {
  versions: readonly Schemas["VersionSummary"][];
  version: number | null;
  current: number | null;
  onVersion: (version: number) => void;
}

function VersionSelect({ versions, version, current, onVersion }: VersionSelectProps) {
  if (version === null) return null;
  const sorted = [...versions].sort((one, other) => other.version - one.version);
  return (
    <select
      aria-label={t.versionLabel}
      value={version}
      onChange={(event) => onVersion(Number(event.target.value))}
      className="touch-target h-8 max-w-56 shrink-0 rounded border border-line bg-raised px-2 text-sm"
    >
      {sorted.map((each) => (
        <option key={each.version} value={each.version}>
          {t.version(each.version)} · {each.summary?.f_measure_reference === "override" ? t.overrideOf : t.analysisOf}
          {each.version === current ? ` · ${t.isCurrent}` : ""}
        </option>
      ))}
    </select>
  );
}

interface TrackMenuProps {
  trackId: string;
  version: number | null;
  mayEdit: boolean;
  onDelete: () => void;
}

type Format = keyof typeof trackTexts.exports;

function TrackMenu({ trackId, version, mayEdit, onDelete }: TrackMenuProps) {
  return (
    <Menu
      trigger={
        <IconButton label={t.more} tone="neutral">
          <Ellipsis size={16} aria-hidden />
        </IconButton>
      }
    >
      {version !== null && (
        <MenuItem icon={<Rocket size={14} aria-hidden />} hint={PAGE_KEYS.deploy} onSelect={() => openDeploy({ trackId, version })}>
          {deployTexts.deploy}
        </MenuItem>
      )}
      {version !== null && <MenuLabel>{t.export}</MenuLabel>}
      {version !== null &&
        (Object.keys(trackTexts.exports) as Format[]).map((format) => (
          <MenuItem key={format} onSelect={() => download(`${API}/tracks/${trackId}/versions/${version}/export/${format}`)}>
            {trackTexts.exports[format]}
          </MenuItem>
        ))}
      {mayEdit && version !== null && <MenuSeparator />}
      {mayEdit && (
        <MenuItem danger icon={<Trash2 size={14} aria-hidden />} onSelect={onDelete}>
          {t.deleteTrack}
        </MenuItem>
      )}
    </Menu>
  );
}

/** Let the browser download an address; the server names the file. */
function download(address: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = "";
  link.click();
}
