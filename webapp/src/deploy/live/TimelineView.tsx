import { useEffect, useState } from "react";
import type { Schemas } from "../../api/types";
import { deployTexts as t, STEP_ORDER } from "../../texts/fleet/deploy";
import { hasEnded } from "./controls";
import { layOutTimeline, type Bar } from "./timeline";
import { formatTook } from "./times";

type StepName = Schemas["StepName"];

const REDRAW_MS = 250;
/** One hue for the way forward, from faint to full; amber and red for the way back. */
const COLOURS: Record<StepName, string> = {
  check: "color-mix(in oklab, var(--k1-accent-solid) 30%, var(--k1-hover))",
  stage: "color-mix(in oklab, var(--k1-accent-solid) 55%, var(--k1-hover))",
  activate: "var(--k1-accent-solid)",
  verify: "color-mix(in oklab, var(--k1-ok) 55%, var(--k1-accent-solid))",
  observe: "color-mix(in oklab, var(--k1-ok) 40%, var(--k1-hover))",
  commit: "var(--k1-ok)",
  discard: "color-mix(in oklab, var(--k1-warn) 55%, var(--k1-hover))",
  rollback: "var(--k1-warn)",
};

/** The steps of all devices over time; bars of failed steps are red. */
export function TimelineView({ view }: { view: Schemas["DeploymentView"] }) {
  const now = useNow(!hasEnded(view.status));
  const { rows, ticks, span_ms } = layOutTimeline(view, now);
  const used = STEP_ORDER.filter((step) => rows.some(({ bars }) => bars.some((bar) => bar.step === step)));
  return (
    <figure aria-label={t.timelineLabel(rows.length, span_ms / 1000)} className="m-0">
      <div className="overflow-x-auto" tabIndex={0} role="group" aria-label={t.tabs.timeline}>
        <div className="min-w-[28rem]">
          <div className="relative ml-28 h-5 text-2xs text-muted" aria-hidden="true">
            {ticks.map((tick) => <span key={tick} className="absolute -translate-x-1/2 whitespace-nowrap first:translate-x-0" style={{ left: `${(100 * tick) / span_ms}%` }}>{tick === 0 ? "0" : formatTook(tick)}</span>)}
          </div>
          <div className="rounded border border-line">
            {rows.map(({ deviceId, bars }) => (
              <div key={deviceId} className="flex h-7 items-center border-b border-line last:border-0">
                <span className="w-28 shrink-0 truncate px-2 font-mono text-2xs" title={deviceId}>{deviceId}</span>
                <div className="relative h-full min-w-0 flex-1 border-l border-line">
                  {ticks.slice(1).map((tick) => <span key={tick} aria-hidden="true" className="absolute inset-y-0 w-px bg-line" style={{ left: `${(100 * tick) / span_ms}%` }} />)}
                  {bars.map((bar) => <StepBar key={bar.key} bar={bar} />)}
                </div>
              </div>
            ))}
          </div>
        </div>
      </div>
      <figcaption className="mt-2 flex flex-wrap gap-x-3 gap-y-1 text-xs text-soft">
        {used.map((step) => <span key={step} className="flex items-center gap-1.5"><span className="size-2.5 rounded-xs" style={{ background: COLOURS[step] }} />{t.steps[step]}</span>)}
        <span className="flex items-center gap-1.5"><span className="size-2.5 rounded-xs bg-danger" />{t.outcomes.failed}</span>
      </figcaption>
    </figure>
  );
}

function StepBar({ bar: { step, status, left, width, took_ms } }: { bar: Bar }) {
  const text = `${t.steps[step]}, ${formatTook(took_ms)}`;
  return (
    <span
      role="img"
      aria-label={text}
      title={text}
      className="absolute inset-y-1.5 rounded-xs"
      style={{ left: `${100 * left}%`, width: `max(${100 * width}%, 3px)`, background: status === "failed" ? "var(--k1-danger)" : COLOURS[step], opacity: status === "running" ? 0.7 : 1 }}
    />
  );
}

function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = setInterval(() => setNow(Date.now()), REDRAW_MS);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}
