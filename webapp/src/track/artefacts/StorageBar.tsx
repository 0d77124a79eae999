import { queryOptions, useQuery } from "@tanstack/react-query";
import { HardDrive, TriangleAlert } from "lucide-react";
import { api, unwrap } from "../../api/client";
import { formatBytes } from "../../app/format";
import { Link } from "../../app/router";
import { artefacts as t } from "../../texts/track/artefacts";
import { cx, Skeleton } from "../../ui";

const WARN_RATIO = 0.8;
const TOP = 3;

const usage = queryOptions({
  queryKey: ["storage", "usage"] as const,
  queryFn: ({ signal }) => unwrap(api.GET("/storage/usage", { signal })),
});

/** How full the object store is, and what takes the most of it. */
export function StorageBar() {
  const { data, isError } = useQuery(usage);
  if (isError) return null;
  if (!data) return <Skeleton className="mx-4 mt-3 h-14" />;
  const { used_bytes: used, total_bytes: total, used_ratio: ratio } = data;
  const isNearlyFull = (ratio ?? 0) >= WARN_RATIO;
  const percent = ratio == null ? "" : ratio < 0.001 ? "< 0.1" : (100 * ratio).toFixed(1);
  const text = total == null || ratio == null ? t.storage.usedOnly(formatBytes(used)) : t.storage.used(formatBytes(used), formatBytes(total), percent);
  return (
    <section aria-label={t.storage.title} className="grid gap-x-8 gap-y-2 border-b border-line px-4 py-3 @2xl:grid-cols-2">
      <div className="min-w-0">
        <h2 className="flex items-center gap-1.5 text-sm font-semibold">
          <HardDrive size={14} aria-hidden className="text-muted" />
          {t.storage.title}
        </h2>
        <div
          role="meter"
          aria-label={t.storage.title}
          aria-valuenow={Math.round(100 * (ratio ?? 0))}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuetext={text}
          className="relative mt-2 h-2 overflow-hidden rounded-full bg-hover"
        >
          <div className={cx("h-full min-w-0.5 rounded-full", isNearlyFull ? "bg-warn" : "bg-accent-solid")} style={{ width: `${Math.min(100, 100 * (ratio ?? 0))}%` }} />
          <div className="absolute inset-y-0 w-px bg-line-strong" style={{ left: `${100 * WARN_RATIO}%` }} />
        </div>
        <p className="mt-1 text-xs text-soft">{text}</p>
        {data.reclaimable_bytes > 0 && <p className="text-xs text-muted">{t.storage.reclaimable(formatBytes(data.reclaimable_bytes), data.reclaimable_objects)}</p>}
        {isNearlyFull && (
          <p role="alert" className="mt-1 flex items-center gap-1.5 text-sm text-warn">
            <TriangleAlert size={14} aria-hidden />
            {data.alert?.message ?? t.storage.nearlyFull}
          </p>
        )}
      </div>
      <div className="min-w-0">
        <h3 className="text-xs font-medium text-soft">{t.storage.largest}</h3>
        <ol className="mt-1 text-xs">
          {data.top_artefacts.slice(0, TOP).map((each) => (
            <li key={each.artefact_id} className="flex gap-2 py-0.5">
              <Link to={`/tracks/${each.track_id}/artefacts?v=${each.version}`} className="min-w-0 flex-1 truncate text-accent hover:underline">
                {each.title} <span className="text-muted">{t.storage.version(each.version)} · {each.name}</span>
              </Link>
              <span className="shrink-0">{formatBytes(each.size_bytes)}</span>
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}
