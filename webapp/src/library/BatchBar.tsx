import { AudioWaveform, RotateCcw, Tag, Trash2, Undo2, X } from "lucide-react";
import { useState } from "react";
import type { Preset } from "../api/types";
import { common } from "../texts/common";
import { library as t } from "../texts/library";
import { Button, IconButton } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { TextField } from "../ui/Field";
import { Menu, MenuItem } from "../ui/Menu";
import { useBatch, type Batch } from "./batch";
import { PRESETS } from "./filters";

export interface BatchBarProps {
  trackIds: readonly string[];
  /** Deleted tracks can only be restored. */
  areDeleted: boolean;
  onDone: () => void;
}

/** What can be done with the selected tracks. */
export function BatchBar({ trackIds, areDeleted, onDone }: BatchBarProps) {
  const batch = useBatch();
  const [tagging, setTagging] = useState<"tag" | "untag">();
  const run = (action: Batch) => {
    void batch(action, trackIds);
    onDone();
  };
  const icon = { size: 14, "aria-hidden": true } as const;
  return (
    <div role="toolbar" aria-label={t.batch} className="fade-in flex shrink-0 flex-wrap items-center gap-1 border-t border-line bg-raised px-2 py-1.5">
      <span role="status" className="px-1 text-sm font-medium">{t.selected(trackIds.length)}</span>
      <span className="flex-1" />
      {areDeleted ? (
        <Button size="sm" icon={<Undo2 {...icon} />} onClick={() => run({ action: "restore" })}>{t.restore}</Button>
      ) : (
        <>
          <IconButton label={t.analyse} onClick={() => run({ action: "analyse" })}><RotateCcw {...icon} /></IconButton>
          <Menu trigger={<IconButton label={t.tag}><Tag {...icon} /></IconButton>}>
            <MenuItem onSelect={() => setTagging("tag")}>{t.addTags}</MenuItem>
            <MenuItem onSelect={() => setTagging("untag")}>{t.removeTags}</MenuItem>
          </Menu>
          <Menu trigger={<IconButton label={t.setPreset}><AudioWaveform {...icon} /></IconButton>}>
            {PRESETS.map((preset: Preset) => <MenuItem key={preset} onSelect={() => run({ action: "set_preset", preset })}>{t.presets[preset]}</MenuItem>)}
          </Menu>
          <IconButton label={common.delete} tone="danger" onClick={() => run({ action: "delete" })}><Trash2 {...icon} /></IconButton>
        </>
      )}
      <IconButton label={t.clearSelection} onClick={onDone}><X {...icon} /></IconButton>
      {tagging && <TagsDialog action={tagging} onClose={() => setTagging(undefined)} onTags={(tags) => run({ action: tagging, tags })} />}
    </div>
  );
}

function TagsDialog({ action, onClose, onTags }: { action: "tag" | "untag"; onClose: () => void; onTags: (tags: string[]) => void }) {
  const [text, setText] = useState("");
  const title = action === "tag" ? t.addTags : t.removeTags;
  const tags = text.split(",").map((tag) => tag.trim()).filter(Boolean);
  const apply = () => {
    if (tags.length === 0) return;
    onClose();
    onTags(tags);
  };
  return (
    <Dialog open onOpenChange={onClose} title={title} footer={<><Button onClick={onClose}>{common.cancel}</Button><Button tone="primary" disabled={tags.length === 0} onClick={apply}>{title}</Button></>}>
      <TextField label={t.columns.tags} hint={t.tagsHint} value={text} autoFocus onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Enter" && apply()} />
    </Dialog>
  );
}
