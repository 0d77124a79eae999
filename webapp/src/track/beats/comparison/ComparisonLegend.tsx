import { X } from "lucide-react";
import { track as trackTexts } from "../../../texts/track/track";
import { cx, IconButton } from "../../../ui";
import type { Comparison } from "./useComparison";

const t = trackTexts.comparison;

/** Says what the marks over the beats mean, and how many there are. */
export function ComparisonLegend({ comparison: { name, marks }, onClose }: { comparison: Comparison; onClose: () => void }) {
  const { moved, added, removed, bars, same } = marks;
  return (
    <div role="status" aria-label={t.legend(name)} className="flex min-h-9 flex-wrap items-center gap-x-4 gap-y-1 border-b border-line bg-raised px-3 py-1 text-xs max-md:gap-x-1 max-md:px-1.5 max-md:py-0">
      <span className="font-medium">{t.against(name)}</span>
      <Entry tone="text-warn" path="M1 2v12M1 11h9M7 8l3 3-3 3" text={t.moved(moved.length)} />
      <Entry tone="text-ok" path="M6 1v14M2 11h8" text={t.added(added.length)} />
      <Entry tone="text-danger" path="M6 1v2m0 2v2M2 9l8 6M10 9l-8 6" text={t.removed(removed.length)} />
      {bars.length > 0 && <Entry tone="text-warn" path="M2 3h8l-4 6z" text={t.bars(bars.length)} />}
      <span className="text-muted max-md:sr-only">{t.same(same)}</span>
      <IconButton size="sm" className="ml-auto max-md:-mr-1.5" label={t.stop} onClick={onClose}>
        <X size={14} aria-hidden />
      </IconButton>
    </div>
  );
}

/** A mark as the canvas paints it, with its meaning. */
function Entry({ tone, path, text }: { tone: string; path: string; text: string }) {
  return (
    <span className="inline-flex items-center gap-1.5 text-soft">
      <svg width="12" height="16" viewBox="0 0 12 16" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true" className={cx("shrink-0", tone)}>
        <path d={path} />
      </svg>
      {text}
    </span>
  );
}
