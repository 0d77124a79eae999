import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Search, UserPlus } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { useMay } from "../api/useSession";
import { ApiError } from "../api/errors";
import type { Role } from "../api/types";
import { account } from "../texts/account";
import { errors } from "../texts/errors";
import { Button } from "../ui/Button";
import { SelectField, TextField } from "../ui/Field";
import { Empty, ErrorState, Skeleton } from "../ui/states";
import { MoreButton } from "./profile/MoreButton";
import { users } from "./queries";
import { ROLES } from "./roles";
import { InviteDialog } from "./users/InviteDialog";
import { UserTable } from "./users/UserTable";

const t = account.users;

/** The people who may sign in, for administrators: invite, change a role, disable, delete. */
export default function UsersPage() {
  if (!useMay("admin")) return <ErrorState page error={new ApiError(403, { detail: errors.needsRole("admin") })} />;
  return <Users />;
}

function Users() {
  const [text, setText] = useState("");
  const [role, setRole] = useState<Role | "">("");
  const [isInviting, setInviting] = useState(false);
  const search = useDeferredValue(text.trim());
  const query = useInfiniteQuery({ ...users({ search, role }), placeholderData: keepPreviousData });
  const rows = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const total = query.data?.pages[0]?.total;
  return (
    <div className="h-full overflow-auto">
      <div className="mx-auto flex w-full max-w-5xl flex-col gap-4 px-4 py-6">
        <header className="flex items-center gap-4">
          <div className="flex-1">
            <h1 className="text-xl font-semibold">{t.title}</h1>
            <p role="status" className="text-sm text-muted">{total === undefined ? "\u00a0" : t.count(total)}</p>
          </div>
          <Button tone="primary" icon={<UserPlus size={14} aria-hidden />} onClick={() => setInviting(true)}>{t.invite}</Button>
        </header>
        <section aria-label={t.title} className="rounded-lg border border-line bg-panel">
          <div className="flex flex-wrap gap-2 border-b border-line p-3">
            <div className="relative min-w-40 flex-1 md:max-w-xs">
              <Search size={14} aria-hidden className="absolute top-1/2 left-2.5 -translate-y-1/2 text-muted" />
              <TextField quiet label={t.search} placeholder={t.search} type="search" maxLength={200} value={text} className="pl-8" onChange={(event) => setText(event.target.value)} />
            </div>
            <div className="w-40">
              <SelectField quiet label={account.role} value={role} onChange={(event) => setRole(ROLES.find((each) => each === event.target.value) ?? "")}>
                <option value="">{t.anyRole}</option>
                {ROLES.map((each) => <option key={each} value={each}>{account.roles[each]}</option>)}
              </SelectField>
            </div>
          </div>
          {query.isError && rows.length === 0 ? (
            <ErrorState error={query.error} onRetry={() => void query.refetch()} />
          ) : query.isPending ? (
            <div className="flex flex-col gap-4 p-4">{[0, 1, 2].map((key) => <Skeleton key={key} className="h-5 w-2/3" />)}</div>
          ) : rows.length === 0 ? (
            <Empty title={t.none} text={t.noneText} />
          ) : (
            <UserTable rows={rows} />
          )}
          <MoreButton query={query} />
        </section>
      </div>
      {isInviting && <InviteDialog onClose={() => setInviting(false)} />}
    </div>
  );
}
