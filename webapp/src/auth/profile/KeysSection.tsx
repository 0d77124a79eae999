import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { api, unwrap } from "../../api/client";
import type { Schemas } from "../../api/types";
import { formatAgo, formatTime } from "../../app/format";
import { account } from "../../texts/account";
import { common } from "../../texts/common";
import { Button } from "../../ui/Button";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { Empty, ErrorState, Skeleton } from "../../ui/states";
import { Table, type Column } from "../../ui/Table";
import { toastDone, toastError } from "../../ui/toast";
import { accountKeys, apiKeys } from "../queries";
import { Card } from "./Card";
import { MoreButton } from "./MoreButton";
import { NewKeyDialog } from "./NewKeyDialog";

type Key = Schemas["KeyView"];
const t = account.keys;

/** The own API keys: a new one is shown once, an old one can be revoked. */
export function KeysSection() {
  const query = useInfiniteQuery(apiKeys);
  const queryClient = useQueryClient();
  const [isCreating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Key>();
  const rows = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const reload = () => void queryClient.invalidateQueries({ queryKey: accountKeys.apiKeys });
  const revoke = (key: Key) => {
    unwrap(api.DELETE("/me/keys/{key_id}", { params: { path: { key_id: key.id } } }))
      .then(() => toastDone(t.revoked), toastError)
      .finally(reload);
  };
  const columns: readonly Column<Key>[] = [
    { id: "name", title: t.columns.name, cell: ({ name }) => <span className="font-medium">{name}</span> },
    { id: "role", title: t.columns.role, cell: ({ role }) => account.roles[role] },
    { id: "key", title: t.columns.key, className: "hidden md:table-cell", cell: ({ hint }) => <code className="font-mono text-xs text-muted">{hint}</code> },
    { id: "used", title: t.columns.used, className: "hidden md:table-cell whitespace-nowrap", cell: ({ last_used_at }) => (last_used_at ? formatAgo(last_used_at) : common.never) },
    { id: "expires", title: t.columns.expires, className: "whitespace-nowrap", cell: ({ expires_at }) => (expires_at ? formatTime(expires_at) : common.never) },
    {
      id: "actions",
      title: common.actions,
      quiet: true,
      className: "text-right",
      cell: (key) => <Button size="sm" aria-label={t.revokeLabel(key.name)} onClick={() => setRevoking(key)}>{t.revoke}</Button>,
    },
  ];
  return (
    <Card
      title={t.title}
      text={t.text}
      action={<Button tone="primary" icon={<Plus size={14} aria-hidden />} onClick={() => setCreating(true)}>{t.create}</Button>}
    >
      <div className="border-t border-line">
        {query.isError && rows.length === 0 ? (
          <ErrorState error={query.error} onRetry={() => void query.refetch()} />
        ) : query.isPending ? (
          <div className="flex flex-col gap-3 p-4"><Skeleton className="h-5 w-2/3" /><Skeleton className="h-5 w-1/2" /></div>
        ) : rows.length === 0 ? (
          <Empty icon={<KeyRound size={28} />} title={t.none} text={t.noneText} />
        ) : (
          <Table label={t.title} columns={columns} rows={rows} rowKey={({ id }) => id} />
        )}
      </div>
      <MoreButton query={query} />
      {isCreating && <NewKeyDialog onClose={() => setCreating(false)} onCreated={reload} />}
      {revoking && (
        <ConfirmDialog
          title={t.revokeTitle(revoking.name)}
          text={t.revokeText}
          confirm={t.revoke}
          onConfirm={() => revoke(revoking)}
          onClose={() => setRevoking(undefined)}
        />
      )}
    </Card>
  );
}
