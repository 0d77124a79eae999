import type { Schemas } from "../../api/types";
import { driftTexts as t } from "../../texts/fleet/telemetry";
import { formatClock } from "../clock";

const WIDTH = 1000;
const HEIGHT = 120;
const OFF_MS = 20;
/** A drift below it looks small: noise shall not look like trouble. */
const LEAST_RANGE_MS = 30;

/** The mean drift at each beat along the song; suggested places are shaded. */
export function DriftPicture({ drift, durationMs }: { drift: Schemas["TrackDrift"]; durationMs: number }) {
  const { beats, suggestions } = drift;
  const most = beats.reduce((best, { figures }) => Math.max(best, Math.abs(figures.mean_ms)), LEAST_RANGE_MS);
  const x = (ms: number): number => (ms / durationMs) * WIDTH;
  const y = (ms: number): number => HEIGHT / 2 - (ms / most) * (HEIGHT / 2 - 4);
  const path = (isOff: boolean): string =>
    beats
      .filter(({ figures }) => figures.mean_abs_ms > OFF_MS === isOff)
      .map(({ time_ms, figures }) => `M${x(time_ms).toFixed(1)} ${y(0)}V${y(figures.mean_ms).toFixed(1)}`)
      .join("");
  const worst = beats.reduce((best, beat) => (Math.abs(beat.figures.mean_ms) > Math.abs(best.figures.mean_ms) ? beat : best), beats[0] ?? NONE);
  return (
    <figure className="border-b border-line px-4 py-3">
      <div className="relative">
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={t.picture} aria-describedby="drift-picture" className="h-28 w-full rounded bg-bg">
          {suggestions.map(({ from_ms, to_ms }) => <rect key={from_ms} x={x(from_ms)} width={x(to_ms) - x(from_ms)} y={0} height={HEIGHT} className="fill-danger-soft" />)}
          <path d={`M0 ${y(0)}H${WIDTH}`} className="stroke-line-strong" vectorEffect="non-scaling-stroke" />
          <path d={`M0 ${y(OFF_MS)}H${WIDTH}M0 ${y(-OFF_MS)}H${WIDTH}`} className="stroke-line" strokeDasharray="3 4" vectorEffect="non-scaling-stroke" />
          <path d={path(false)} className="stroke-ok" strokeWidth={2} vectorEffect="non-scaling-stroke" />
          <path d={path(true)} className="stroke-danger" strokeWidth={2} vectorEffect="non-scaling-stroke" />
        </svg>
        <div className="pointer-events-none absolute inset-y-1 left-1.5 flex flex-col justify-between text-2xs text-muted" aria-hidden="true">
          <span>+{Math.round(most)} ms</span>
          <span>−{Math.round(most)} ms</span>
        </div>
      </div>
      <figcaption id="drift-picture" className="mt-1.5 text-xs text-muted">
        {t.picture}. {t.pictureSummary(beats.length, worst.figures.mean_ms.toFixed(1), formatClock(worst.time_ms, 100))}
      </figcaption>
    </figure>
  );
}

const NONE: Schemas["BeatDrift"] = { index: 0, time_ms: 0, figures: { readings: 0, mean_ms: 0, mean_abs_ms: 0, max_abs_ms: 0, off_share: 0 } };
