import { Download, Ellipsis, Trash2, Waves } from "lucide-react";
import { API } from "../../api/client";
import { useBatch } from "../../library/batch";
import { track as trackTexts } from "../../texts/track/track";
import { IconButton, Menu, MenuItem, MenuLabel, MenuSeparator } from "../../ui";

const t = trackTexts.header;

export interface TrackMenuProps {
  trackId: string;
  version: number | null;
  mayEdit: boolean;
  onDelete: () => void;
}

type Format = keyof typeof trackTexts.exports;

/** Exports of the beats for other programs, another analysis, and deleting the track. */
export function TrackMenu({ trackId, version, mayEdit, onDelete }: TrackMenuProps) {
  const batch = useBatch();
  return (
    <Menu
      trigger={
        <IconButton label={t.more} tone="neutral">
          <Ellipsis size={16} aria-hidden />
        </IconButton>
      }
    >
      {version !== null && <MenuLabel>{t.export}</MenuLabel>}
      {version !== null &&
        (Object.keys(trackTexts.exports) as Format[]).map((format) => (
          <MenuItem
            key={format}
            icon={<Download size={14} aria-hidden />}
            onSelect={() => download(`${API}/tracks/${trackId}/versions/${version}/export/${format}`)}
          >
            {trackTexts.exports[format]}
          </MenuItem>
        ))}
      {mayEdit && version !== null && <MenuSeparator />}
      {mayEdit && (
        <MenuItem icon={<Waves size={14} aria-hidden />} hint="A" onSelect={() => void batch({ action: "analyse" }, [trackId])}>
          {t.analyse}
        </MenuItem>
      )}
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
