import { History, PenLine, RotateCcw, Save } from "lucide-react";
import { useState, type ReactNode } from "react";
import { formatAgo, formatTime } from "../../app/format";
import { texts } from "../../texts";
import { track as trackTexts } from "../../texts/track/track";
import { Badge, Button, Dialog, IconButton, TextField, toastDone, toastError } from "../../ui";
import { diffBeats, type BeatDiff } from "./model";
import type { BeatSheet } from "./sheet";
import type { BeatEditor } from "./useBeatEditor";

const t = trackTexts.save;

export interface SaveBarProps {
  editor: BeatEditor;
  sheet: BeatSheet;
  mayEdit: boolean;
  /** Shows the other person's beats beside the edits. */
  onCompare: () => void;
  /** Why the beats were changed, for the history. */
  note: string;
  onNote: (note: string) => void;
  onSave: () => void;
  /** Tools that stand in the same row. */
  children: ReactNode;
}

/** Says whose beats these are and what is not saved, and saves it. */
export function SaveBar({ editor, sheet, mayEdit, note, onNote, onCompare, onSave, children }: SaveBarProps) {
  const [asking, setAsking] = useState(false);
  const diff = editor.dirty ? diffBeats(editor.state.saved, editor.state.present.beats) : null;
  const { override } = sheet;

  const remove = (): void => {
    setAsking(false);
    editor.removeOverride().then(({ version }) => toastDone(t.removed(version)), toastError);
  };

  return (
    <div className="flex min-h-10 shrink-0 flex-wrap items-center gap-2 border-b border-line px-3 py-1">
      {override && <ManualBadge override={override} />}
      {diff ? (
        <Badge tone="accent" icon={<PenLine size={12} aria-hidden />}>
          {t.changes(diff.moved.length, diff.added.length, diff.removed.length, diff.bars.length)}
        </Badge>
      ) : (
        <span className="text-xs text-muted">{t.noChanges}</span>
      )}
      {editor.state.problem && (
        <p role="alert" className="text-xs text-warn">
          {trackTexts.problems[editor.state.problem]}
        </p>
      )}
      <div className="min-w-0 flex-1" />
      {/* A phone has the tools in a row of their own, and Save beside the state. */}
      <div className="flex items-center gap-2 max-md:order-last max-md:w-full max-md:justify-between">{children}</div>
      {mayEdit && override && !editor.dirty && (
        <Button size="sm" tone="ghost" icon={<History size={14} aria-hidden />} onClick={() => setAsking(true)}>
          <span className="max-md:sr-only">{t.removeOverride}</span>
        </Button>
      )}
      {mayEdit && (
        <div className="ml-auto flex items-center gap-2">
          {editor.dirty && (
            <>
              <IconButton size="sm" label={t.revert} onClick={() => editor.dispatch({ type: "revert" })}>
                <RotateCcw size={14} aria-hidden />
              </IconButton>
              <div className="w-44">
                <TextField quiet label={t.note} placeholder={t.notePlaceholder} title={t.note} value={note} maxLength={2000} onChange={(event) => onNote(event.target.value)} className="h-7 text-xs" />
              </div>
            </>
          )}
          <Button size="sm" tone="primary" busy={editor.saving} disabled={!editor.dirty} icon={<Save size={14} aria-hidden />} onClick={onSave}>
            {editor.saving ? t.saving : t.save}
          </Button>
        </div>
      )}
      {editor.newer && <NewerNotice editor={editor} newer={editor.newer} onCompare={onCompare} />}
      <Dialog
        open={asking}
        onOpenChange={setAsking}
        title={t.removeOverride}
        description={trackTexts.editor.sources["automatic"] ?? ""}
        footer={
          <>
            <Button onClick={() => setAsking(false)}>{texts.common.cancel}</Button>
            <Button tone="primary" onClick={remove}>
              {t.removeOverride}
            </Button>
          </>
        }
      />
    </div>
  );
}

function ManualBadge({ override }: { override: NonNullable<BeatSheet["override"]> }) {
  const when = formatAgo(override.created_at);
  const hint = trackTexts.header.manualHint(override.author.name, formatTime(override.created_at), override.note ?? "");
  return (
    <Badge tone="neutral" icon={<PenLine size={12} aria-hidden />} title={hint} className="max-w-full max-md:max-w-44">
      <span className="truncate">
        {/* A phone has the pen alone for it. */}
        <span className="max-md:sr-only">{trackTexts.header.manual} · </span>
        {override.author.name} · {when}
      </span>
    </Badge>
  );
}

interface NewerNoticeProps {
  editor: BeatEditor;
  newer: BeatSheet;
  onCompare: () => void;
}

/** Says that someone else saved beats, how they differ, and offers to take them or to go on. */
function NewerNotice({ editor, newer, onCompare }: NewerNoticeProps) {
  const diff: BeatDiff = diffBeats(editor.state.present.beats, newer.beats);
  const who = newer.override?.author.name ?? trackTexts.editor.sources["automatic"] ?? "";
  const when = newer.override ? formatAgo(newer.override.created_at) : "";
  return (
    <div role="alert" className="flex w-full flex-wrap items-center gap-2 rounded border border-warn bg-warn-soft px-3 py-2 text-sm">
      <div className="min-w-0 flex-1">
        <p className="font-medium text-warn">{t.newerTitle}</p>
        <p className="text-soft">
          {t.newer(who, when)} {t.newerDiff(t.changes(diff.moved.length, diff.added.length, diff.removed.length, diff.bars.length))}
        </p>
      </div>
      <Button size="sm" tone="ghost" onClick={onCompare}>
        {t.show}
      </Button>
      <Button size="sm" onClick={editor.takeNewer}>
        {t.take}
      </Button>
      <Button size="sm" tone="primary" onClick={editor.keepMine}>
        {t.keep}
      </Button>
    </div>
  );
}
