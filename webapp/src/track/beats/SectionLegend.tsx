import { track as trackTexts } from "../../texts/track/track";
import { SECTION_COLOURS } from "./canvas/paint/paintGrid";
import type { SectionKind } from "./canvas/paint/picture";

const t = trackTexts.editor;

/** Says which colour belongs to which kind of section, for the kinds that the song has. */
export function SectionLegend({ kinds }: { kinds: readonly SectionKind[] }) {
  const found = [...new Set(kinds)];
  const colours = [...new Set(found.map((kind) => SECTION_COLOURS[kind]))];
  if (colours.length === 0) return null;
  return (
    <ul aria-label={t.sectionLegend} title={t.sectionLegendHint} className="flex flex-wrap items-center gap-x-4 gap-y-0.5 border-t border-line px-3 py-1 text-2xs text-soft">
      {colours.map((colour) => (
        <li key={colour} className="inline-flex items-center gap-1.5">
          <span aria-hidden="true" className="size-2.5 rounded-sm" style={{ background: `var(--k1-${colour})` }} />
          {found.filter((kind) => SECTION_COLOURS[kind] === colour).map((kind) => t.sections[kind]).join(", ")}
        </li>
      ))}
    </ul>
  );
}
