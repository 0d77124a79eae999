import { GitCompareArrows } from "lucide-react";
import type { Schemas } from "../../../api/types";
import { track as trackTexts } from "../../../texts/track/track";
import { Button, Menu, MenuItem, MenuLabel, MenuSeparator } from "../../../ui";
import { originOf } from "../../header/version";
import type { Alternative } from "../sheet";
import { hintOf, nameOf } from "../toolbar/AlternativesMenu";
import type { Comparing } from "./useComparison";

const t = trackTexts.comparison;

export interface CompareMenuProps {
  comparing: Comparing;
  /** The other versions that have beats, from the newest to the oldest. */
  versions: readonly Schemas["VersionSummary"][];
  alternatives: readonly Alternative[];
}

/** Chooses what the beats are compared with: another version, or another reading of the analysis. */
export function CompareMenu({ comparing, versions, alternatives }: CompareMenuProps) {
  if (versions.length === 0 && alternatives.length === 0) return null;
  return (
    <Menu
      trigger={
        <Button size="sm" tone="ghost" title={t.hint} icon={<GitCompareArrows size={14} aria-hidden />}>
          <span className="max-md:sr-only">{t.menu}</span>
        </Button>
      }
    >
      <MenuItem checked={comparing.version === null && comparing.alternative === null} onSelect={comparing.stop}>
        {t.none}
      </MenuItem>
      {versions.length > 0 && <MenuSeparator />}
      {versions.length > 0 && <MenuLabel>{t.versions}</MenuLabel>}
      {versions.map((each) => (
        <MenuItem key={each.version} checked={comparing.version === each.version} hint={originOf(each)} onSelect={() => comparing.chooseVersion(each.version)}>
          {trackTexts.header.version(each.version)}
        </MenuItem>
      ))}
      {alternatives.length > 0 && <MenuSeparator />}
      {alternatives.length > 0 && <MenuLabel>{t.alternatives}</MenuLabel>}
      {alternatives.map((each, index) => (
        <MenuItem key={index} checked={comparing.alternative === each} hint={hintOf(each)} onSelect={() => comparing.chooseAlternative(each)}>
          {nameOf(each)}
        </MenuItem>
      ))}
    </Menu>
  );
}
