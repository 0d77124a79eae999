/** Paints what lies over the waveform: sections, bars, beats, times. */
import { placesOf, type Beat, type Place } from "../model";
import { lanesOf, type Lanes } from "./layout";
import { withAlpha, type Palette } from "./palette";
import { rulerStep, spanOf, timeToX, type View } from "./view";

export type SectionKind = "intro" | "verse" | "build" | "drop" | "breakdown" | "chorus" | "outro" | "section";

export interface PaintedSection {
  readonly startMs: number;
  readonly endMs: number;
  readonly name: string;
  readonly kind: SectionKind;
  readonly energy: number;
}

export interface GridPicture {
  readonly beats: readonly Beat[];
  readonly selection: ReadonlySet<number>;
  readonly sections: readonly PaintedSection[];
  /** Other beats to compare with, such as those of the analysis. */
  readonly compared: readonly number[];
  readonly loop: { readonly startMs: number; readonly endMs: number } | null;
}

/** Beats nearer than this are not all drawn. */
const LEAST_BEAT_PX = 5;
const LEAST_NUMBER_PX = 34;
const CONFIDENCE_STEPS = 4;

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
  paintCompared(context, picture.compared, view, x, lanes, palette, width);
  paintBeats(context, picture, view, x, lanes, palette, width);
}

const SECTION_COLOURS: Readonly<Record<SectionKind, "muted" | "soft" | "accent" | "ok" | "warn" | "danger">> = {
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

function paintCompared(
  context: CanvasRenderingContext2D,
  compared: readonly number[],
  view: View,
  x: (ms: number) => number,
  { wave }: Lanes,
  palette: Palette,
  width: number,
): void {
  const shown = compared.filter((ms) => ms >= view.startMs && ms <= view.endMs);
  if (shown.length === 0 || width / shown.length < LEAST_BEAT_PX) return;
  context.fillStyle = palette.warn;
  for (const ms of shown) {
    const at = Math.round(x(ms));
    for (let dash = 0; dash < 4; dash += 1) context.fillRect(at, wave.top + wave.height - 6 - dash * 10, 1, 6);
  }
}

/** Paint lines, numbers and marks of the visible beats; the closer they are, the fewer. */
function paintBeats(
  context: CanvasRenderingContext2D,
  { beats, selection }: GridPicture,
  view: View,
  x: (ms: number) => number,
  { bars, wave }: Lanes,
  palette: Palette,
  width: number,
): void {
  const margin = spanOf(view) * 0.02;
  const first = beats.findIndex(({ ms }) => ms >= view.startMs - margin);
  if (first === -1) return;
  const after = beats.findIndex(({ ms }, index) => index >= first && ms > view.endMs + margin);
  const end = after === -1 ? beats.length : after;
  const places = placesCached(beats);
  const beatPx = width / Math.max(1, end - first);
  const showsBeats = beatPx >= LEAST_BEAT_PX;
  const bottom = wave.top + wave.height;

  const columns: number[][] = Array.from({ length: CONFIDENCE_STEPS }, () => []);
  const starts: number[] = [];
  const chosen: number[] = [];
  for (let index = first; index < end; index += 1) {
    const beat = beats[index];
    if (beat === undefined) continue;
    if (selection.has(beat.id)) chosen.push(index);
    else if (beat.downbeat) starts.push(index);
    else if (showsBeats) columns[confidenceStep(beat.confidence)]?.push(x(beat.ms));
  }
  columns.forEach((list, step) => {
    context.fillStyle = withAlpha(palette.text, [0.14, 0.24, 0.34, 0.46][step] ?? 0.5);
    for (const at of list) context.fillRect(Math.round(at), wave.top + 10, 1, wave.height - 10);
  });
  const barPx = width / Math.max(1, starts.length);
  const everyBar = Math.max(1, Math.ceil((LEAST_BEAT_PX * Math.max(1, starts.length)) / width));
  for (const index of starts) {
    const beat = beats[index];
    const place = places[index];
    if (beat === undefined || place === undefined || place.bar % everyBar !== 0) continue;
    const at = Math.round(x(beat.ms));
    context.fillStyle = withAlpha(palette.text, (0.4 + 0.45 * beat.confidence) * Math.min(1, 0.4 + barPx / 60));
    context.fillRect(at, bars.top + 6, beatPx > 14 ? 2 : 1, bottom - bars.top - 6);
  }
  for (const index of chosen) paintChosen(context, beats[index], x, bars.top, bottom, palette, beatPx);
  paintMarks(context, beats.slice(first, end), x, wave.top, bottom, palette, beatPx);
  paintNumbers(context, beats, places, first, end, x, bars, palette);
}

function paintChosen(
  context: CanvasRenderingContext2D,
  beat: Beat | undefined,
  x: (ms: number) => number,
  top: number,
  bottom: number,
  palette: Palette,
  beatPx: number,
): void {
  if (beat === undefined) return;
  const at = Math.round(x(beat.ms));
  context.fillStyle = withAlpha(palette.accent, 0.2);
  const half = Math.min(5, beatPx / 2);
  context.fillRect(at - half, top, 2 * half + 1, bottom - top);
  context.fillStyle = palette.accent;
  const head = top + (beat.downbeat ? 6 : 24);
  context.fillRect(at, head, beatPx > 4 ? 2 : 1, bottom - head);
}

/** Paint a square at the foot of locked beats and a diamond at the head of anchors. */
function paintMarks(
  context: CanvasRenderingContext2D,
  beats: readonly Beat[],
  x: (ms: number) => number,
  top: number,
  bottom: number,
  palette: Palette,
  beatPx: number,
): void {
  if (beatPx < 3) return;
  for (const { ms, locked, anchor } of beats) {
    const at = Math.round(x(ms)) + 1;
    if (locked) {
      context.fillStyle = palette.text;
      context.fillRect(at - 4, bottom - 7, 8, 6);
      context.strokeStyle = palette.text;
      context.lineWidth = 1.5;
      context.beginPath();
      context.arc(at, bottom - 7, 2.5, Math.PI, 0);
      context.stroke();
    }
    if (anchor) {
      context.fillStyle = palette.warn;
      context.beginPath();
      context.moveTo(at, top + 2);
      context.lineTo(at + 6, top + 8);
      context.lineTo(at, top + 14);
      context.lineTo(at - 6, top + 8);
      context.fill();
    }
  }
}

function paintNumbers(
  context: CanvasRenderingContext2D,
  beats: readonly Beat[],
  places: readonly Place[],
  first: number,
  end: number,
  x: (ms: number) => number,
  lane: Lanes["bars"],
  palette: Palette,
): void {
  const bars = Math.max(1, (places[end - 1]?.bar ?? 1) - (places[first]?.bar ?? 0));
  const span = x(beats[end - 1]?.ms ?? 0) - x(beats[first]?.ms ?? 0);
  const step = numberStep((LEAST_NUMBER_PX * bars) / Math.max(span, 1));
  context.font = `600 11px ${palette.font}`;
  for (let index = first; index < end; index += 1) {
    const beat = beats[index];
    const bar = places[index]?.bar ?? 0;
    if (beat === undefined || !beat.downbeat || (step > 1 && (bar - 1) % step !== 0)) continue;
    context.fillStyle = palette.soft;
    context.fillText(String(bar), Math.round(x(beat.ms)) + 5, lane.top + lane.height / 2 + 1);
  }
}

/** Return the least of 1, 2, 4, 8 ... bars from one number to the next. */
function numberStep(least: number): number {
  return least <= 1 ? 1 : 2 ** Math.ceil(Math.log2(least));
}

function confidenceStep(confidence: number): number {
  return Math.min(CONFIDENCE_STEPS - 1, Math.max(0, Math.floor(confidence * CONFIDENCE_STEPS)));
}

const cache = new WeakMap<readonly Beat[], Place[]>();

/** Return bar and position of every beat, counted once for each list. */
export function placesCached(beats: readonly Beat[]): Place[] {
  const known = cache.get(beats);
  if (known !== undefined) return known;
  const places = placesOf(beats);
  cache.set(beats, places);
  return places;
}

/** Return a time as minutes and seconds, with as many digits as the step needs. */
export function formatClock(ms: number, stepMs = 1): string {
  const digits = stepMs >= 1000 ? 0 : stepMs >= 100 ? 1 : stepMs >= 10 ? 2 : 3;
  const tenths = 10 ** digits;
  const total = Math.round((Math.max(0, ms) / 1000) * tenths) / tenths;
  const minutes = Math.floor(total / 60);
  const seconds = (total - 60 * minutes).toFixed(digits);
  return `${minutes}:${digits === 0 ? seconds.padStart(2, "0") : seconds.padStart(digits + 3, "0")}`;
}

function fillTextWithin(context: CanvasRenderingContext2D, text: string, x: number, y: number, width: number): void {
  let shown = text;
  while (shown.length > 1 && context.measureText(shown).width > width) shown = `${shown.slice(0, -2)}…`;
  if (shown.length > 1) context.fillText(shown, x, y);
}
