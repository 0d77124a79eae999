import { useInfiniteQuery } from "@tanstack/react-query";
import { Rocket } from "lucide-react";
import type { Schemas } from "../api/types";
import { formatAgo } from "../app/format";
import { Link } from "../app/router";
import { TrackName } from "../app/shell/TrackName";
import { deployTexts as t } from "../texts/fleet/deploy";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { Empty, ErrorState, Skeleton } from "../ui/states";
import { deploymentPages } from "./queries";
import { StatusBadge } from "./StatusBadge";

/** The deployments, newest first; those of one device where its id is given. */
export function DeploymentList({ deviceId, openId }: { deviceId?: string; openId?: string | undefined }) {
  const pages = useInfiniteQuery(deploymentPages(deviceId));
  if (pages.isPending) return <div className="flex flex-col gap-2 p-3"><Skeleton className="h-12 w-full" /><Skeleton className="h-12 w-full" /><Skeleton className="h-12 w-full" /></div>;
  if (pages.isError) return <ErrorState error={pages.error} onRetry={() => void pages.refetch()} />;
  const items = pages.data.pages.flatMap((page) => page.items);
  if (items.length === 0) return <Empty icon={<Rocket size={28} />} title={t.deployNothing} text={t.deployNothingText} />;
  return (
    <>
      <ul aria-label={t.title}>
        {items.map((item) => <li key={item.id}><DeploymentLine item={item} isOpen={item.id === openId} /></li>)}
      </ul>
      {pages.hasNextPage && <div className="flex justify-center p-3"><Button busy={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>{t.more}</Button></div>}
    </>
  );
}

function DeploymentLine({ item, isOpen }: { item: Schemas["DeploymentSummary"]; isOpen: boolean }) {
  return (
    <Link
      to={`/deployments/${item.id}`}
      aria-current={isOpen ? "true" : undefined}
      className={cx("block border-b border-line border-l-2 px-3 py-2 -outline-offset-2", isOpen ? "border-l-accent bg-hover" : "border-l-transparent hover:bg-raised")}
    >
      <span className="flex items-center gap-2">
        <span className="min-w-0 flex-1 truncate text-sm font-medium"><TrackName trackId={item.track_id} /> <span className="font-normal text-muted">v{item.version}</span></span>
        <StatusBadge status={item.status} paused={item.paused} />
      </span>
      <span className="mt-0.5 flex gap-1.5 text-xs text-muted">
        <span className="shrink-0">{t.deviceCount(item.total)}</span>
        <span className="min-w-0 flex-1 truncate">{t.by(item.requested_by)}</span>
        <span className="shrink-0">{formatAgo(item.created_at)}</span>
      </span>
    </Link>
  );
}
