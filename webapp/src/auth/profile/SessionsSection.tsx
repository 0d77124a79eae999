import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "../../api/client";
import type { Schemas } from "../../api/types";
import { formatAgo, formatTime } from "../../app/format";
import { account } from "../../texts/account";
import { common } from "../../texts/common";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ErrorState, Skeleton } from "../../ui/states";
import { Table, type Column } from "../../ui/Table";
import { toastDone, toastError } from "../../ui/toast";
import { accountKeys, sessions } from "../queries";
import { nameBrowser } from "./browsers";
import { Card } from "./Card";
import { MoreButton } from "./MoreButton";

type Session = Schemas["SessionView"];
const t = account.sessions;

/** Where the person is signed in; each other session can be ended. */
export function SessionsSection() {
  const query = useInfiniteQuery(sessions);
  const queryClient = useQueryClient();
  const rows = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const end = (sessionId?: string) => {
    const answer = sessionId
      ? unwrap(api.DELETE("/me/sessions/{revoked}", { params: { path: { revoked: sessionId } } }))
      : unwrap(api.DELETE("/me/sessions"));
    answer
      .then(({ session_ids }) => toastDone(t.ended(session_ids.length)), toastError)
      .finally(() => void queryClient.invalidateQueries({ queryKey: accountKeys.sessions }));
  };
  const columns: readonly Column<Session>[] = [
    {
      id: "browser",
      title: t.columns.browser,
      cell: (row) => (
        <span className="flex items-center gap-2 whitespace-nowrap">
          {nameBrowser(row.user_agent) ?? t.unknownBrowser}
          {row.current && <Badge tone="accent">{t.current}</Badge>}
        </span>
      ),
    },
    { id: "address", title: t.columns.address, className: "hidden md:table-cell", cell: ({ address }) => address ?? common.noValue },
    { id: "method", title: t.columns.method, className: "hidden md:table-cell", cell: ({ method }) => t.methods[method] },
    {
      id: "used",
      title: t.columns.used,
      cell: ({ last_used_at }) => <time dateTime={last_used_at} title={formatTime(last_used_at)} className="whitespace-nowrap">{formatAgo(last_used_at)}</time>,
    },
    {
      id: "actions",
      title: common.actions,
      quiet: true,
      className: "text-right",
      cell: (row) =>
        row.current ? null : (
          <Button size="sm" aria-label={t.endLabel(nameBrowser(row.user_agent) ?? t.unknownBrowser)} onClick={() => end(row.id)}>{t.end}</Button>
        ),
    },
  ];
  return (
    <Card
      title={t.title}
      text={t.text}
      action={rows.length > 1 && <Button size="sm" onClick={() => end()}>{t.endOthers}</Button>}
    >
      {query.isError && rows.length === 0 ? (
        <ErrorState error={query.error} onRetry={() => void query.refetch()} />
      ) : query.isPending ? (
        <div className="flex flex-col gap-3 border-t border-line p-4"><Skeleton className="h-5 w-2/3" /><Skeleton className="h-5 w-1/2" /></div>
      ) : (
        <Table label={t.title} columns={columns} rows={rows} rowKey={({ id }) => id} />
      )}
      <MoreButton query={query} />
    </Card>
  );
}
