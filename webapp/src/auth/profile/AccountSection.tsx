import { BadgeCheck, CircleAlert } from "lucide-react";
import type { FormEvent, ReactNode } from "react";
import { api, unwrap } from "../../api/client";
import { setSession } from "../../api/session";
import { useUser } from "../../api/useSession";
import type { User } from "../../api/types";
import { formatTime } from "../../app/format";
import { account } from "../../texts/account";
import { common } from "../../texts/common";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { SelectField, TextField } from "../../ui/Field";
import { toastDone } from "../../ui/toast";
import { Notice } from "../AuthFrame";
import { useAction } from "../useAction";
import { Card } from "./Card";

const t = account.profile;
const SKILLS: readonly User["skill_level"][] = ["beginner", "intermediate", "expert"];

/** Name, language and experience; the address and the role are an administrator's to change. */
export function AccountSection() {
  const user = useUser();
  const action = useAction();
  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = {
      name: String(form.get("name")),
      locale: String(form.get("locale")),
      skill_level: SKILLS.find((level) => level === form.get("skill")) ?? user.skill_level,
    };
    action.run(async () => {
      setSession({ kind: "signed_in", user: await unwrap(api.PATCH("/me", { body })) });
      toastDone(t.saved);
    });
  };
  return (
    <Card title={t.sections.account} text={t.member(formatTime(user.created_at))}>
      <dl className="grid gap-3 border-t border-line px-4 py-3 text-sm md:grid-cols-2">
        <Fact term={t.email}>
          <span className="truncate">{user.email}</span>
          {user.email_verified ? (
            <Badge tone="ok" icon={<BadgeCheck size={12} aria-hidden />}>{t.emailVerified}</Badge>
          ) : (
            <Badge tone="warn" icon={<CircleAlert size={12} aria-hidden />}>{t.emailNotVerified}</Badge>
          )}
        </Fact>
        <Fact term={account.role}>
          <span>{account.roles[user.role]}</span>
          <span className="truncate text-muted">{account.roleHints[user.role]}</span>
        </Fact>
      </dl>
      <form onSubmit={save} className="flex flex-col gap-3 border-t border-line px-4 py-3">
        <div className="grid gap-3 md:grid-cols-3">
          <TextField label={t.name} name="name" defaultValue={user.name} autoComplete="name" required maxLength={100} />
          <TextField label={t.language} name="locale" defaultValue={user.locale} required pattern="[a-z]{2,3}(-[A-Z]{2})?" maxLength={6} hint={t.languageHint} />
          <SelectField label={t.skill} name="skill" defaultValue={user.skill_level} hint={t.skillHint}>
            {SKILLS.map((level) => <option key={level} value={level}>{t.skills[level]}</option>)}
          </SelectField>
        </div>
        {action.error && <Notice kind="error">{action.error}</Notice>}
        <div className="flex justify-end">
          <Button type="submit" tone="primary" busy={action.busy}>{common.save}</Button>
        </div>
      </form>
      {user.providers.length > 0 && <p className="border-t border-line px-4 py-3 text-sm text-muted">{t.providers(user.providers.join(", "))}</p>}
    </Card>
  );
}

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs font-medium text-muted">{term}</dt>
      <dd className="flex min-h-6 flex-wrap items-center gap-x-2">{children}</dd>
    </div>
  );
}
