import { useInfiniteQuery } from "@tanstack/react-query";
import { Clock, Cog, KeyRound, User } from "lucide-react";
import type { Schemas } from "../../api/types";
import { formatAgo, formatTime } from "../../app/format";
import { navigate } from "../../app/router";
import { texts } from "../../texts";
import { track as trackTexts } from "../../texts/track/track";
import { Button, Empty, ErrorState, Skeleton } from "../../ui";
import { trackHistory } from "../queries";
import { changesOf, nameOf, type Change } from "./changes";

const t = trackTexts.history;

/** Who changed the track, when and how; each entry opens the track as it was then. */
export default function HistoryTab({ trackId }: { trackId: string }) {
  const history = useInfiniteQuery(trackHistory(trackId));
  if (history.isPending) return <Skeleton className="m-3 h-64" />;
  if (history.isError) return <ErrorState error={history.error} onRetry={() => void history.refetch()} />;
  const events = history.data.pages.flatMap(({ items }) => items);
  if (events.length === 0) return <Empty title={t.empty} />;
  return (
    <div className="flex-1">
      <ol aria-label={trackTexts.tabs.history} className="divide-y divide-line">
        {events.map((event) => (
          <Entry key={event.id} trackId={trackId} event={event} />
        ))}
      </ol>
      {history.hasNextPage && (
        <div className="flex justify-center p-3">
          <Button busy={history.isFetchingNextPage} onClick={() => void history.fetchNextPage()}>
            {t.older}
          </Button>
        </div>
      )}
    </div>
  );
}

const ACTORS = { user: User, key: KeyRound, local: User, machine: Cog, service: Cog } as const;

function Entry({ trackId, event }: { trackId: string; event: Schemas["TrackEvent"] }) {
  const changes = changesOf(event);
  const Icon = ACTORS[event.actor.kind];
  const at = encodeURIComponent(event.recorded_at);
  return (
    <li className="flex items-start gap-3 px-4 py-2.5">
      <span className="mt-0.5 flex size-6 shrink-0 items-center justify-center rounded-full bg-hover text-soft">
        <Icon size={13} aria-hidden />
      </span>
      <div className="min-w-0 flex-1">
        <p className="text-sm">
          <span className="font-medium">{nameOf(event.action)}</span> <span className="text-soft">{t.by(event.actor.name)}</span>
        </p>
        <p className="flex flex-wrap gap-x-2 text-xs text-muted">
          <time dateTime={event.at} title={formatTime(event.at)}>
            {formatAgo(event.at)} · {formatTime(event.at)}
          </time>
          {event.detail && <span>{event.detail}</span>}
        </p>
        {changes.length > 0 && <Changes changes={changes} />}
      </div>
      <Button size="sm" tone="ghost" icon={<Clock size={13} aria-hidden />} onClick={() => navigate(`/tracks/${trackId}?at=${at}`)}>
        {t.asItWas}
      </Button>
    </li>
  );
}

function Changes({ changes }: { changes: readonly Change[] }) {
  return (
    <details className="mt-1">
      <summary className="touch-target inline-flex items-center text-xs text-accent">{t.changes(changes.length)}</summary>
      <table className="mt-1 w-full table-fixed border-collapse text-xs">
        <thead className="sr-only">
          <tr>
            <th scope="col">{t.field}</th>
            <th scope="col">{t.before}</th>
            <th scope="col">{t.after}</th>
          </tr>
        </thead>
        <tbody>
          {changes.map(({ label, before, after }) => (
            <tr key={label} className="border-t border-line align-top">
              <th scope="row" className="w-1/4 py-1 pr-2 text-left font-normal text-muted">
                {label}
              </th>
              <td className="py-1 pr-2 break-words whitespace-pre-line text-soft line-through decoration-line-strong">{before || texts.common.noValue}</td>
              <td className="py-1 break-words whitespace-pre-line">{after || texts.common.noValue}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
