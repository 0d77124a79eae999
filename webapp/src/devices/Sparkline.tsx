import { useEffect, useRef } from "react";
import { cx } from "../ui/cx";
import { KEPT_MS, levelOf, rangeOf, type ReadingLine, type ValueName } from "./readings";

const COLOURS = { ok: "text-accent", warn: "text-warn", danger: "text-danger" } as const;
const ZERO_OPACITY = 0.3;

/** Values closer together than this look flat: noise shall not look like trouble. */
const LEAST_RANGE: Record<ValueName, number> = { drift_ms: 10, cpu_pct: 20, temp_c: 4, fps: 6 };

export interface SparklineProps {
  line: ReadingLine;
  name: ValueName;
  /** What a screen reader says of it. */
  label: string;
  className?: string;
  /** Draws a line at zero. */
  hasZero?: boolean;
}

/** The last minute of a value, newest at the right, on a canvas. */
export function Sparkline({ line, name, label, className, hasZero = false }: SparklineProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (canvas.current) draw(canvas.current, line, name, hasZero);
  }, [line, name, hasZero]);
  return <canvas ref={canvas} role="img" aria-label={label} className={cx(COLOURS[levelOf(name, line.latest[name])], className)} />;
}

function draw(canvas: HTMLCanvasElement, line: ReadingLine, name: ValueName, hasZero: boolean): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);

  const values = line.values[name];
  const [least, most] = rangeOf(hasZero ? [...values, 0] : values);
  const middle = (least + most) / 2;
  const span = Math.max(LEAST_RANGE[name], (most - least) * 1.15);
  const newest = line.times.at(-1) ?? 0;
  const x = (time: number) => width - 2 - ((newest - time) / KEPT_MS) * (width - 2);
  const y = (value: number) => height / 2 - ((value - middle) / span) * (height - 4);

  // The computed colour is one that a canvas understands; the variables of the theme are not.
  const { color } = getComputedStyle(canvas);
  if (hasZero) {
    context.globalAlpha = ZERO_OPACITY;
    context.fillStyle = color;
    context.fillRect(0, Math.round(y(0)), width, 1);
    context.globalAlpha = 1;
  }
  context.strokeStyle = color;
  context.lineWidth = 1.25;
  context.lineJoin = "round";
  context.beginPath();
  values.forEach((value, index) => context.lineTo(x(line.times[index] ?? 0), y(value)));
  context.stroke();
}
