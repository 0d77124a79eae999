/** Paints what moves over the waveform in each frame. */
import type { Palette } from "./palette";

/** Paint the playhead from a y to another. */
export function paintPlayhead(context: CanvasRenderingContext2D, x: number, top: number, bottom: number, palette: Palette): void {
  context.fillStyle = palette.danger;
  context.fillRect(x, top, 2, bottom - top);
  context.beginPath();
  context.moveTo(x - 5, top);
  context.lineTo(x + 7, top);
  context.lineTo(x + 1, top + 8);
  context.fill();
}

/** Paint a short text in a box at the foot of a line. */
export function paintTag(
  context: CanvasRenderingContext2D,
  text: string,
  x: number,
  bottom: number,
  width: number,
  palette: Palette,
): void {
  context.font = `500 11px ${palette.font}`;
  context.textBaseline = "middle";
  const box = context.measureText(text).width + 10;
  const left = Math.min(Math.max(0, x - box / 2), width - box);
  context.fillStyle = palette.lane;
  context.fillRect(left, bottom + 1, box, 18);
  context.fillStyle = palette.text;
  context.fillText(text, left + 5, bottom + 10.5);
}
