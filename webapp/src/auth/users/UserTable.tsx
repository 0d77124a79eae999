import { useQueryClient } from "@tanstack/react-query";
import { Ban, CircleCheck, MailOpen, MoreHorizontal, Trash2 } from "lucide-react";
import { useState } from "react";
import { api, unwrap } from "../../api/client";
import type { Schemas, User } from "../../api/types";
import { useUser } from "../../api/useSession";
import { formatAgo, formatTime } from "../../app/format";
import { account } from "../../texts/account";
import { common } from "../../texts/common";
import { Badge } from "../../ui/Badge";
import { IconButton } from "../../ui/Button";
import { ConfirmDialog } from "../../ui/ConfirmDialog";
import { SelectField } from "../../ui/Field";
import { Menu, MenuItem } from "../../ui/Menu";
import { Table, type Column } from "../../ui/Table";
import { toastDone, toastError } from "../../ui/toast";
import { accountKeys } from "../queries";
import { ROLES } from "../roles";

const t = account.users;

/** The users; role and state are changed in their rows. The own row only shows, so that nobody locks themselves out. */
export function UserTable({ rows }: { rows: readonly User[] }) {
  const self = useUser();
  const queryClient = useQueryClient();
  const [removing, setRemoving] = useState<User>();
  const run = (answer: Promise<unknown>, done: string) => {
    answer.then(() => toastDone(done), toastError).finally(() => void queryClient.invalidateQueries({ queryKey: accountKeys.users }));
  };
  const update = (user: User, body: Schemas["UpdateUserBody"], done: string) =>
    run(unwrap(api.PATCH("/users/{user_id}", { params: { path: { user_id: user.id } }, body })), done);
  const columns: readonly Column<User>[] = [
    {
      id: "name",
      title: t.columns.name,
      className: "max-md:px-2",
      cell: (user) => (
        <span className="flex flex-col py-1.5">
          <span className="flex items-center gap-2 font-medium">{user.name}{user.id === self.id && <Badge tone="accent">{t.you}</Badge>}</span>
          <span className="text-xs text-muted">{user.email}</span>
          {/* A phone has no column for it. */}
          <span className="mt-0.5 md:hidden"><State user={user} /></span>
        </span>
      ),
    },
    {
      id: "role",
      title: t.columns.role,
      className: "w-40 min-w-38 max-md:px-2",
      cell: (user) =>
        user.id === self.id ? (
          account.roles[user.role]
        ) : (
          <SelectField
            quiet
            label={t.roleOf(user.name)}
            value={user.role}
            onChange={(event) => {
              const role = ROLES.find((each) => each === event.target.value);
              if (role) update(user, { role }, t.roleChanged(user.name, account.roles[role]));
            }}
          >
            {ROLES.map((role) => <option key={role} value={role}>{account.roles[role]}</option>)}
          </SelectField>
        ),
    },
    { id: "state", title: t.columns.state, className: "hidden md:table-cell", cell: (user) => <State user={user} /> },
    {
      id: "seen",
      title: t.columns.seen,
      className: "hidden whitespace-nowrap md:table-cell",
      cell: ({ last_sign_in_at: seen }) => (seen ? <time dateTime={seen} title={formatTime(seen)}>{formatAgo(seen)}</time> : common.never),
    },
    {
      id: "actions",
      title: common.actions,
      quiet: true,
      className: "text-right max-md:px-2",
      cell: (user) =>
        user.id === self.id ? null : (
          <Menu trigger={<IconButton label={t.actions(user.name)}><MoreHorizontal size={16} aria-hidden /></IconButton>}>
            {user.disabled ? (
              <MenuItem icon={<CircleCheck size={14} aria-hidden />} onSelect={() => update(user, { disabled: false }, t.enabledDone(user.name))}>{t.enable}</MenuItem>
            ) : (
              <MenuItem icon={<Ban size={14} aria-hidden />} onSelect={() => update(user, { disabled: true }, t.disabledDone(user.name))}>{t.disable}</MenuItem>
            )}
            <MenuItem danger icon={<Trash2 size={14} aria-hidden />} onSelect={() => setRemoving(user)}>{t.remove}</MenuItem>
          </Menu>
        ),
    },
  ];
  return (
    <>
      <Table label={t.title} columns={columns} rows={rows} rowKey={({ id }) => id} />
      {removing && (
        <ConfirmDialog
          title={t.removeTitle(removing.name)}
          text={t.removeText}
          confirm={t.remove}
          onConfirm={() => run(unwrap(api.DELETE("/users/{user_id}", { params: { path: { user_id: removing.id } } })), t.removed(removing.name))}
          onClose={() => setRemoving(undefined)}
        />
      )}
    </>
  );
}

function State({ user }: { user: User }) {
  if (user.disabled) return <Badge tone="danger" icon={<Ban size={12} aria-hidden />}>{t.disabled}</Badge>;
  if (!user.email_verified) return <Badge tone="warn" icon={<MailOpen size={12} aria-hidden />}>{t.invitedState}</Badge>;
  return <Badge tone="ok" icon={<CircleCheck size={12} aria-hidden />}>{t.active}</Badge>;
}
