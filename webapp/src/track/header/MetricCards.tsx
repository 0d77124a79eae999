import { TriangleAlert } from "lucide-react";
import { track as trackTexts } from "../../texts/track/track";
import { cx, Tooltip } from "../../ui";
import type { Metric } from "./metrics";

const t = trackTexts.metrics;

/** The figures of a version in one row, whose place is kept until they are there; each says where it comes from. */
export function MetricCards({ metrics, before }: { metrics: readonly Metric[]; before: number | null }) {
  return (
    <dl aria-label={t.label} className="relative flex min-h-[59px] overflow-x-auto border-b border-line bg-panel">
      {metrics.map((metric) => (
        <Tooltip key={metric.id} content={<Explanation metric={metric} />}>
          <div tabIndex={0} className="flex min-w-max flex-1 flex-col justify-center gap-0.5 border-r border-line px-3 py-2 -outline-offset-2 last:border-r-0">
            <dt className="flex items-center gap-1 text-2xs whitespace-nowrap text-muted">
              {metric.label}
              {metric.isLow && <TriangleAlert size={11} className="text-warn" aria-hidden />}
            </dt>
            <dd className="flex items-baseline gap-1.5 whitespace-nowrap">
              <span className={cx("text-lg/6 font-semibold", metric.isLow && "text-warn")}>{metric.value}</span>
              {metric.unit && <span className="text-2xs text-muted">{metric.unit}</span>}
              {metric.delta && before !== null && (
                <span className="text-2xs text-soft" title={t.delta(metric.delta, before)}>
                  {metric.delta}
                </span>
              )}
            </dd>
          </div>
        </Tooltip>
      ))}
    </dl>
  );
}

function Explanation({ metric }: { metric: Metric }) {
  return (
    <>
      {metric.source}
      {metric.isLow && <span className="mt-1 block text-warn">{t.below}</span>}
    </>
  );
}
