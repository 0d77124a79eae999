import { Gauge } from "lucide-react";
import type { Schemas } from "../../api/types";
import { track as trackTexts } from "../../texts/track/track";
import { cx, Skeleton, type Tone } from "../../ui";

const t = trackTexts.risk;
const BUDGET_MS = 8;
const LIMIT_MS = 10;
const BUSY_CPU = 80;

/** Return how much a show asks of a device. */
export function riskOf({ est_ms, cpu_pct }: Pick<Schemas["RuntimeEstimate"], "est_ms" | "cpu_pct">): Tone {
  if (est_ms > LIMIT_MS) return "danger";
  return est_ms > BUDGET_MS || cpu_pct > BUSY_CPU ? "warn" : "ok";
}

const WORDS: Partial<Record<Tone, string>> = { ok: t.green, warn: t.amber, danger: t.red };
const BARS: Partial<Record<Tone, string>> = { ok: "bg-ok", warn: "bg-warn", danger: "bg-danger" };
const TEXTS: Partial<Record<Tone, string>> = { ok: "text-ok", warn: "text-warn", danger: "text-danger" };

/** The bundle of a version; undefined where it has none. */
export type Bundle = Schemas["BundleView"] | "loading" | undefined;

/** How long a frame takes on a device, against the budget of 8 ms. Its place is kept until that is known. */
export function RiskStrip({ bundle }: { bundle: Bundle }) {
  if (!bundle) return null;
  if (bundle === "loading") return <Skeleton still className="h-5 w-76 max-w-full" />;
  const { runtime_estimate: estimate, manifest } = bundle;
  const risk = riskOf(estimate);
  const filled = Math.min(100, (100 * estimate.est_ms) / LIMIT_MS);
  const title = [
    WORDS[risk],
    t.cpu(`${estimate.cpu_pct.toFixed(0)} %`),
    t.memory(estimate.mem_kb.toFixed(1)),
    t.firmware(manifest.firmware_min_version),
  ].join(" · ");
  return (
    <div role="group" aria-label={t.label} title={title} className="flex h-5 shrink-0 items-center gap-1.5 px-1 text-2xs whitespace-nowrap">
      <Gauge size={12} className={TEXTS[risk]} aria-hidden />
      <span className="relative h-1.5 w-16 overflow-hidden rounded-full bg-hover" aria-hidden="true">
        <span className={cx("absolute inset-y-0 left-0 rounded-full", BARS[risk])} style={{ width: `${filled}%` }} />
        <span className="absolute inset-y-0 w-px bg-line-strong" style={{ left: `${(100 * BUDGET_MS) / LIMIT_MS}%` }} />
      </span>
      <span className={cx("font-medium", TEXTS[risk])}>{t.budget(estimate.est_ms.toFixed(2))}</span>
      <span className="text-muted">
        {t.cpu(`${estimate.cpu_pct.toFixed(0)} %`)} · {t.firmware(manifest.firmware_min_version)}
      </span>
      <span className="sr-only">{WORDS[risk]}</span>
    </div>
  );
}
