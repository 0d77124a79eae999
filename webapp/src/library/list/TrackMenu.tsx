import { FolderOpen, Pencil, RotateCcw, Trash2, Undo2 } from "lucide-react";
import type { TrackSummary } from "../../api/types";
import { common } from "../../texts/common";
import { library as t } from "../../texts/library";
import { MenuAt, MenuItem, MenuSeparator } from "../../ui/Menu";
import { useBatch } from "../batch";

export interface TrackMenuProps {
  track: TrackSummary;
  /** The button beside which the menu opens. */
  button: HTMLElement;
  mayEdit: boolean;
  onClose: () => void;
  onOpen: (track: TrackSummary) => void;
  onRename: (trackId: string) => void;
  onDelete: (trackIds: readonly string[]) => void;
}

/** What can be done with one track. There is one menu for the list, not one for each row. */
export function TrackMenu({ track, button, mayEdit, onClose, onOpen, onRename, onDelete }: TrackMenuProps) {
  const batch = useBatch();
  const icon = { size: 14, "aria-hidden": true } as const;
  return (
    <MenuAt anchor={button} onClose={onClose}>
      <MenuItem icon={<FolderOpen {...icon} />} hint="Enter" onSelect={() => onOpen(track)}>{t.open}</MenuItem>
      {mayEdit && track.status !== "deleted" && (
        <>
          <MenuItem icon={<Pencil {...icon} />} hint="F2" onSelect={() => onRename(track.id)}>{t.rename}</MenuItem>
          <MenuItem icon={<RotateCcw {...icon} />} onSelect={() => void batch({ action: "analyse" }, [track.id])}>{t.analyse}</MenuItem>
          <MenuSeparator />
          <MenuItem icon={<Trash2 {...icon} />} hint="Del" danger onSelect={() => onDelete([track.id])}>{common.delete}</MenuItem>
        </>
      )}
      {mayEdit && track.status === "deleted" && (
        <MenuItem icon={<Undo2 {...icon} />} onSelect={() => void batch({ action: "restore" }, [track.id])}>{t.restore}</MenuItem>
      )}
    </MenuAt>
  );
}
