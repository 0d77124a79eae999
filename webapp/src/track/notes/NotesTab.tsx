import { CircleCheck, CircleDashed, TriangleAlert } from "lucide-react";
import { useState, type ReactNode } from "react";
import type { Schemas } from "../../api/types";
import { track as trackTexts } from "../../texts/track/track";
import { Button, cx, Empty, Spinner } from "../../ui";
import { Segments } from "../beats/toolbar/Segments";
import { Markdown } from "./Markdown";
import { useNotes, type NotesStatus } from "./useNotes";

const t = trackTexts.notes;
const MAX_LENGTH = 20_000;

/** The notes of a track in Markdown, which save themselves. */
export default function NotesTab({ track, mayEdit }: { track: Schemas["Track"]; mayEdit: boolean }) {
  if (mayEdit) return <Editable track={track} />;
  if (!track.notes) return <Empty title={t.empty} />;
  return (
    <div className="p-4">
      <Markdown text={track.notes} />
    </div>
  );
}

function Editable({ track }: { track: Schemas["Track"] }) {
  const notes = useNotes(track);
  const [mode, setMode] = useState<"edit" | "read">(notes.text === "" ? "edit" : "read");
  return (
    <div className="flex min-h-64 flex-1 flex-col">
      <div className="flex min-h-10 flex-wrap items-center gap-3 border-b border-line bg-panel px-3 py-1">
        <Segments
          label={t.mode}
          selected={mode}
          onSelect={setMode}
          options={[
            { id: "read", label: t.preview },
            { id: "edit", label: t.edit },
          ]}
        />
        <Status status={notes.status} />
        {notes.status === "failed" && (
          <Button size="sm" onClick={notes.flush}>
            {t.retry}
          </Button>
        )}
      </div>
      {notes.theirs !== null && (
        <div role="alert" className="m-3 flex flex-col gap-2 rounded border border-warn bg-warn-soft p-3 text-sm">
          <p className="font-medium text-warn">{t.conflict}</p>
          <div className="max-h-40 overflow-auto rounded bg-bg p-2" tabIndex={0}>
            <Markdown text={notes.theirs} />
          </div>
          <div className="flex gap-2">
            <Button size="sm" onClick={notes.takeTheirs}>
              {t.takeTheirs}
            </Button>
            <Button size="sm" tone="primary" onClick={notes.keepMine}>
              {t.keepMine}
            </Button>
          </div>
        </div>
      )}
      {mode === "edit" ? (
        <textarea
          aria-label={t.label}
          placeholder={t.placeholder}
          maxLength={MAX_LENGTH}
          value={notes.text}
          onChange={(event) => notes.change(event.target.value)}
          onBlur={notes.flush}
          className="min-h-64 w-full flex-1 resize-none bg-bg p-4 font-mono text-sm/6 -outline-offset-2 placeholder:text-muted"
        />
      ) : (
        <div className="flex-1 p-4">{notes.text === "" ? <p className="text-muted">{t.empty}</p> : <Markdown text={notes.text} />}</div>
      )}
    </div>
  );
}

const LOOKS: Readonly<Record<NotesStatus, { tone: string; icon: ReactNode; label: string }>> = {
  saved: { tone: "text-muted", icon: <CircleCheck size={13} aria-hidden />, label: t.saved },
  unsaved: { tone: "text-muted", icon: <CircleDashed size={13} aria-hidden />, label: t.unsaved },
  saving: { tone: "text-muted", icon: <Spinner />, label: t.saving },
  failed: { tone: "text-danger", icon: <TriangleAlert size={13} aria-hidden />, label: t.failed },
};

function Status({ status }: { status: NotesStatus }) {
  const { tone, icon, label } = LOOKS[status];
  return (
    <p role="status" className={cx("flex items-center gap-1.5 text-xs", tone)}>
      {icon}
      {label}
    </p>
  );
}
