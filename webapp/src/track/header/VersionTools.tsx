import { CircleCheck, GitCompareArrows } from "lucide-react";
import { useState } from "react";
import type { TrackDetail } from "../../api/types";
import { track as trackTexts } from "../../texts/track/track";
import { Button, IconButton } from "../../ui";
import { CompareDialog } from "./CompareDialog";
import { originOf } from "./version";

const t = trackTexts.header;

export interface VersionToolsProps {
  detail: TrackDetail;
  /** The version that is shown. */
  version: number | null;
  mayEdit: boolean;
  onVersion: (version: number) => void;
  onUseVersion: () => void;
}

/** Chooses the version that is shown, compares it with another, and makes it the one in use. */
export function VersionTools({ detail: { track, versions }, version, mayEdit, onVersion, onUseVersion }: VersionToolsProps) {
  const [comparing, setComparing] = useState(false);
  if (version === null) return null;
  const current = track.current_version ?? null;
  const sorted = [...versions].sort((one, other) => other.version - one.version);
  return (
    <>
      {mayEdit && version !== current && (
        <Button onClick={onUseVersion} icon={<CircleCheck size={14} aria-hidden />}>
          {t.setCurrent}
        </Button>
      )}
      {versions.length > 1 && (
        <IconButton label={t.compare} tone="neutral" onClick={() => setComparing(true)}>
          <GitCompareArrows size={15} aria-hidden />
        </IconButton>
      )}
      <select
        aria-label={t.versionLabel}
        value={version}
        onChange={(event) => {
          onVersion(Number(event.target.value));
          // The keys of the editor work again at once.
          event.target.blur();
        }}
        className="touch-target h-8 min-w-0 shrink rounded max-md:flex-1 md:max-w-64 border border-line bg-raised px-2 text-sm"
      >
        {sorted.map((each) => (
          <option key={each.version} value={each.version}>
            {/* First what must be seen where the text is cut off. */}
            {t.version(each.version)} · {each.version === current ? `${t.isCurrent} · ` : ""}
            {originOf(each)}
          </option>
        ))}
      </select>
      {comparing && <CompareDialog trackId={track.id} versions={sorted} version={version} onClose={() => setComparing(false)} />}
    </>
  );
}
