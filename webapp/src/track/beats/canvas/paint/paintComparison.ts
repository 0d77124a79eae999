/** Paints how the beats differ from others: where they were, which are new, which are gone. */
import type { ComparisonMarks } from "../../comparison/marks";
import type { Lanes } from "../layout";
import type { View } from "../view";
import type { Palette } from "./palette";

/** Marks nearer than this are only ticks at the foot. */
const LEAST_MARK_PX = 6;
/** An arrow is at least so long, also where a beat moved by a few milliseconds. */
const LEAST_ARROW_PX = 9;
/** Room for the signs below the lines. */
const FOOT = 16;

/** Paint the marks of the visible differences; forms differ as well as colours. */
export function paintComparison(
  context: CanvasRenderingContext2D,
  marks: ComparisonMarks,
  view: View,
  x: (ms: number) => number,
  { bars, wave }: Lanes,
  palette: Palette,
  width: number,
): void {
  const isSeen = (ms: number): boolean => ms >= view.startMs && ms <= view.endMs;
  const moved = marks.moved.filter(({ fromMs, toMs }) => isSeen(fromMs) || isSeen(toMs));
  const added = marks.added.filter(isSeen);
  const removed = marks.removed.filter(isSeen);
  const count = moved.length + added.length + removed.length;
  const bottom = wave.top + wave.height;
  if (count > 0 && width / count < LEAST_MARK_PX) {
    paintTicks(context, moved.map(({ fromMs }) => fromMs), palette.warn, x, bottom);
    paintTicks(context, added, palette.ok, x, bottom);
    paintTicks(context, removed, palette.danger, x, bottom);
    return;
  }
  const foot = bottom - FOOT / 2;
  context.lineWidth = 1.5;
  context.fillStyle = context.strokeStyle = palette.warn;
  for (const { fromMs, toMs } of moved) {
    const [from, to] = [Math.round(x(fromMs)), Math.round(x(toMs))];
    paintDashes(context, from, wave.top + wave.height / 2, bottom - FOOT);
    const sign = toMs < fromMs ? -1 : 1;
    const tail = to - sign * Math.max(LEAST_ARROW_PX, Math.abs(to - from));
    stroke(context, [tail, foot, to, foot, to - 4 * sign, foot - 4], [to, foot, to - 4 * sign, foot + 4]);
  }
  context.fillStyle = context.strokeStyle = palette.ok;
  for (const ms of added) {
    const at = Math.round(x(ms));
    context.fillRect(at, wave.top, 2, wave.height - FOOT);
    stroke(context, [at - 4, foot, at + 5, foot], [at + 0.5, foot - 4.5, at + 0.5, foot + 4.5]);
  }
  context.fillStyle = context.strokeStyle = palette.danger;
  for (const ms of removed) {
    const at = Math.round(x(ms));
    paintDashes(context, at, wave.top, bottom - FOOT);
    stroke(context, [at - 4, foot - 4, at + 4, foot + 4], [at + 4, foot - 4, at - 4, foot + 4]);
  }
  context.fillStyle = palette.warn;
  for (const ms of marks.bars.filter(isSeen)) {
    const at = Math.round(x(ms));
    stroke(context, [at - 4, bars.top + 2, at + 5, bars.top + 2, at + 0.5, bars.top + 8]);
    context.fill();
  }
}

/** Paint ticks at the foot of a canvas. */
export function paintTicks(context: CanvasRenderingContext2D, times: readonly number[], colour: string, x: (ms: number) => number, bottom: number): void {
  context.fillStyle = colour;
  for (const ms of times) context.fillRect(Math.round(x(ms)), bottom - 6, 1, 6);
}

function paintDashes(context: CanvasRenderingContext2D, at: number, top: number, bottom: number): void {
  for (let y = top; y < bottom; y += 8) context.fillRect(at, y, 1.5, Math.min(5, bottom - y));
}

/** Stroke lines, each from point to point. */
function stroke(context: CanvasRenderingContext2D, ...lines: readonly (readonly number[])[]): void {
  context.beginPath();
  for (const line of lines) {
    for (let at = 0; at + 1 < line.length; at += 2) {
      if (at === 0) context.moveTo(line[at] ?? 0, line[at + 1] ?? 0);
      else context.lineTo(line[at] ?? 0, line[at + 1] ?? 0);
    }
  }
  context.stroke();
}
