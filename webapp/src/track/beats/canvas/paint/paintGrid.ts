/** Paints what lies over the waveform: sections, bars, beats, times. */
import { formatClock } from "../../../clock";
import { lanesOf, type Lanes } from "../layout";
import { rulerStep, timeToX, type View } from "../view";
import { paintBeats } from "./paintBeats";
import { paintComparison } from "./paintComparison";
import { withAlpha, type Palette } from "./palette";
import type { GridPicture, PaintedSection, SectionKind } from "./picture";

/** Paint everything over the waveform. The context is scaled to CSS pixels. */
export function paintGrid(
  context: CanvasRenderingContext2D,
  picture: GridPicture,
  view: View,
  palette: Palette,
  width: number,
  height: number,
): void {
  const lanes = lanesOf(height);
  const x = (ms: number): number => timeToX(view, width, ms);
  context.textBaseline = "middle";
  paintSections(context, picture.sections, x, lanes, palette, width, height);
  paintLoop(context, picture.loop, x, lanes, palette);
  paintTimes(context, view, lanes, palette, width);
  paintBeats(context, picture, view, x, lanes, palette, width);
  if (picture.comparison !== null) paintComparison(context, picture.comparison, view, x, lanes, palette, width);
}

export const SECTION_COLOURS: Readonly<Record<SectionKind, "muted" | "soft" | "accent" | "ok" | "warn" | "danger">> = {
  intro: "muted",
  outro: "muted",
  verse: "accent",
  section: "accent",
  breakdown: "soft",
  chorus: "ok",
  build: "warn",
  drop: "danger",
};

/** Return the colour of a section and how strong it is: louder sections are stronger. */
export function sectionColour(palette: Palette, { kind, energy }: PaintedSection): { colour: string; strength: number } {
  return { colour: palette[SECTION_COLOURS[kind]], strength: 0.12 + 0.2 * energy };
}

function paintSections(
  context: CanvasRenderingContext2D,
  sections: readonly PaintedSection[],
  x: (ms: number) => number,
  { sections: lane, time }: Lanes,
  palette: Palette,
  width: number,
  height: number,
): void {
  context.fillStyle = palette.lane;
  context.fillRect(0, 0, width, lane.height);
  context.fillRect(0, lane.height, width, lane.height);
  context.fillRect(0, time.top, width, height - time.top);
  context.font = `500 11px ${palette.font}`;
  for (const section of sections) {
    const { startMs, endMs, name } = section;
    const left = Math.max(0, x(startMs));
    const right = Math.min(width, x(endMs));
    if (right <= 0 || left >= width || right - left < 1) continue;
    const { colour, strength } = sectionColour(palette, section);
    context.fillStyle = withAlpha(colour, strength);
    context.fillRect(left, 1, right - left - 1, lane.height - 2);
    context.fillStyle = colour;
    context.fillRect(left, 1, 2, lane.height - 2);
    if (right - left < 44) continue;
    context.fillStyle = palette.text;
    fillTextWithin(context, name, left + 8, lane.height / 2 + 0.5, right - left - 12);
  }
}

function paintLoop(
  context: CanvasRenderingContext2D,
  loop: GridPicture["loop"],
  x: (ms: number) => number,
  { bars, wave }: Lanes,
  palette: Palette,
): void {
  if (loop === null) return;
  const left = x(loop.startMs);
  const right = x(loop.endMs);
  context.fillStyle = withAlpha(palette.accent, 0.1);
  context.fillRect(left, wave.top, right - left, wave.height);
  context.fillStyle = palette.accent;
  context.fillRect(left, bars.top, right - left, 2);
}

function paintTimes(
  context: CanvasRenderingContext2D,
  view: View,
  { time }: Lanes,
  palette: Palette,
  width: number,
): void {
  const step = rulerStep(view, width, 76);
  context.font = `400 11px ${palette.font}`;
  context.fillStyle = palette.muted;
  for (let ms = Math.ceil(view.startMs / step) * step; ms <= view.endMs; ms += step) {
    const at = Math.round(timeToX(view, width, ms));
    context.fillRect(at, time.top, 1, 5);
    context.fillText(formatClock(ms, step), at + 4, time.top + time.height / 2 + 1);
  }
}

function fillTextWithin(context: CanvasRenderingContext2D, text: string, x: number, y: number, width: number): void {
  let shown = text;
  while (shown.length > 1 && context.measureText(shown).width > width) shown = `${shown.slice(0, -2)}…`;
  if (shown.length > 1) context.fillText(shown, x, y);
}
