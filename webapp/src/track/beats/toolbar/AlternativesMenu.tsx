import { Layers2 } from "lucide-react";
import { track as trackTexts } from "../../../texts/track";
import { Button, Menu, MenuItem, MenuLabel, MenuSeparator } from "../../../ui";
import type { Alternative } from "../sheet";

const t = trackTexts.editor;

export interface AlternativesMenuProps {
  alternatives: readonly Alternative[];
  /** The alternative whose beats are shown beside the edited ones. */
  compared: Alternative | null;
  mayEdit: boolean;
  onTake: (alternative: Alternative) => void;
  onCompare: (alternative: Alternative | null) => void;
}

/** Other readings of the beats: each can be taken with one choice, or compared with. */
export function AlternativesMenu({ alternatives, compared, mayEdit, onTake, onCompare }: AlternativesMenuProps) {
  return (
    <Menu
      align="start"
      trigger={
        <Button size="sm" tone="ghost" title={t.alternativesHint} disabled={alternatives.length === 0} icon={<Layers2 size={14} aria-hidden />}>
          {t.alternatives}
        </Button>
      }
    >
      {mayEdit && <MenuLabel>{t.alternativesHint}</MenuLabel>}
      {mayEdit &&
        alternatives.map((each, index) => (
          <MenuItem key={index} hint={hintOf(each)} onSelect={() => onTake(each)}>
            {nameOf(each)}
          </MenuItem>
        ))}
      {mayEdit && <MenuSeparator />}
      <MenuLabel>{t.compare}</MenuLabel>
      <MenuItem checked={compared === null} onSelect={() => onCompare(null)}>
        {t.compareNone}
      </MenuItem>
      {alternatives.map((each, index) => (
        <MenuItem key={index} checked={compared === each} hint={hintOf(each)} onSelect={() => onCompare(each)}>
          {nameOf(each)}
        </MenuItem>
      ))}
    </Menu>
  );
}

/** Return what a person calls an alternative. */
export function nameOf({ kind, source }: Alternative): string {
  return (source === null ? undefined : t.sources[source]) ?? t.kinds[kind];
}

function hintOf({ bpm, score }: Alternative): string {
  return `${bpm.toFixed(1)} BPM · ${(100 * score).toFixed(score < 0.01 ? 1 : 0)} %`;
}
