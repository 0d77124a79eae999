import { Braces, CopyPlus, FlaskConical, PenLine, Redo2, RotateCcw, Save, Sparkles, Undo2 } from "lucide-react";
import { useState } from "react";
import { graphChanges } from "../../texts/track/changes";
import { graph as t } from "../../texts/track/graph";
import { Badge, Button, IconButton } from "../../ui";
import { JsonDialog } from "./JsonDialog";
import { countKinds, type GraphDiff } from "./model/diff";
import type { GraphDocument } from "./model/document";
import type { GraphEditor } from "./editing/useGraphEditor";

export interface GraphToolbarProps {
  editor: GraphEditor;
  mayEdit: boolean;
  isRecommended: boolean;
  /** How it differs from the recommended graph; null where none is known. */
  diff: GraphDiff | null;
  /** Takes the recommended graph; null where none is known. */
  onApply: (() => void) | null;
  onEdit: (graph: GraphDocument) => void;
}

/** Says whose graph this is, and undoes, simulates and saves. Those who may not edit see the state alone. */
export function GraphToolbar({ editor, mayEdit, isRecommended, diff, onApply, onEdit }: GraphToolbarProps) {
  const { state, dispatch, dirty, busy } = editor;
  const [asJson, setAsJson] = useState(false);
  return (
    <div role="toolbar" aria-label={t.toolbar} className="flex min-h-10 flex-wrap items-center gap-2 border-b border-line bg-panel px-3 py-1">
      <Badge tone={isRecommended ? "ok" : "neutral"} icon={isRecommended ? <Sparkles size={12} aria-hidden /> : <PenLine size={12} aria-hidden />}>
        {isRecommended ? t.recommended : diff ? t.edited(graphChanges(countKinds(diff))) : t.editedOther}
      </Badge>
      {dirty && <Badge tone="accent">{t.unsaved}</Badge>}
      {mayEdit && (
        <>
          <div className="flex items-center gap-2 max-md:gap-0">
            <IconButton size="sm" label={t.undo} disabled={state.past.length === 0} onClick={() => dispatch({ type: "undo" })}>
              <Undo2 size={15} aria-hidden />
            </IconButton>
            <IconButton size="sm" label={t.redo} disabled={state.future.length === 0} onClick={() => dispatch({ type: "redo" })}>
              <Redo2 size={15} aria-hidden />
            </IconButton>
            <IconButton size="sm" label={t.revert} disabled={!dirty} onClick={() => onEdit({ ...state.saved })}>
              <RotateCcw size={14} aria-hidden />
            </IconButton>
            <IconButton size="sm" label={t.json} onClick={() => setAsJson(true)}>
              <Braces size={15} aria-hidden />
            </IconButton>
          </div>
          <div className="ml-auto flex flex-wrap gap-2">
            {onApply && (
              <Button size="sm" icon={<Sparkles size={14} aria-hidden />} disabled={isRecommended} onClick={onApply}>
                {t.apply}
              </Button>
            )}
            <Button size="sm" icon={<FlaskConical size={14} aria-hidden />} busy={busy === "simulating"} disabled={busy !== null} onClick={editor.simulate}>
              {busy === "simulating" ? t.trying : t.tryOut}
            </Button>
            <Button
              size="sm"
              icon={<CopyPlus size={14} aria-hidden />}
              busy={busy === "versioning"}
              disabled={!dirty || busy !== null}
              title={t.saveVersionHint}
              onClick={editor.saveVersion}
            >
              {busy === "versioning" ? t.savingVersion : t.saveVersion}
            </Button>
            <Button size="sm" tone="primary" icon={<Save size={14} aria-hidden />} busy={busy === "saving"} disabled={!dirty || busy !== null || editor.newer !== null} onClick={editor.save}>
              {busy === "saving" ? t.saving : t.save}
            </Button>
          </div>
        </>
      )}
      {asJson && <JsonDialog graph={state.present} onUse={onEdit} onClose={() => setAsJson(false)} />}
    </div>
  );
}
