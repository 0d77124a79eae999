import { Layers2 } from "lucide-react";
import { track as trackTexts } from "../../../texts/track/track";
import { Button, Menu, MenuItem, MenuLabel } from "../../../ui";
import type { Alternative } from "../sheet";

const t = trackTexts.editor;

export interface AlternativesMenuProps {
  alternatives: readonly Alternative[];
  onTake: (alternative: Alternative) => void;
}

/** Other readings of the beats: each can be taken with one choice. */
export function AlternativesMenu({ alternatives, onTake }: AlternativesMenuProps) {
  return (
    <Menu
      align="start"
      trigger={
        <Button size="sm" tone="ghost" title={t.alternativesHint} disabled={alternatives.length === 0} icon={<Layers2 size={14} aria-hidden />}>
          {t.alternatives}
        </Button>
      }
    >
      <MenuLabel>{t.alternativesHint}</MenuLabel>
      {alternatives.map((each, index) => (
        <MenuItem key={index} hint={hintOf(each)} onSelect={() => onTake(each)}>
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

/** Return the tempo of an alternative, and how probable it is. */
export function hintOf({ bpm, score }: Alternative): string {
  return `${bpm.toFixed(1)} BPM · ${(100 * score).toFixed(score < 0.01 ? 1 : 0)} %`;
}
