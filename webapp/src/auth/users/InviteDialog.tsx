import { useQueryClient } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { api, unwrap } from "../../api/client";
import { account } from "../../texts/account";
import { auth } from "../../texts/auth";
import { common } from "../../texts/common";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { SelectField, TextField } from "../../ui/Field";
import { toastDone } from "../../ui/toast";
import { Notice } from "../AuthFrame";
import { accountKeys } from "../queries";
import { ROLES } from "../roles";
import { useAction } from "../useAction";

const t = account.users;
const FORM = "invite";

/** Invites somebody by e-mail. */
export function InviteDialog({ onClose }: { onClose: () => void }) {
  const action = useAction();
  const queryClient = useQueryClient();
  const invite = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const body = {
      email: String(form.get("email")),
      name: String(form.get("name")),
      role: ROLES.find((role) => role === form.get("role")) ?? "viewer",
      locale: navigator.language.slice(0, 2),
    };
    action.run(async () => {
      await unwrap(api.POST("/users", { body }));
      toastDone(t.invited(body.email));
      onClose();
      void queryClient.invalidateQueries({ queryKey: accountKeys.users });
    });
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={t.inviteTitle}
      description={t.inviteText}
      footer={<><Button onClick={onClose}>{common.cancel}</Button><Button type="submit" form={FORM} tone="primary" busy={action.busy}>{t.invite}</Button></>}
    >
      <form id={FORM} onSubmit={invite} className="flex flex-col gap-3">
        <TextField label={auth.email} name="email" type="email" required maxLength={254} autoFocus autoComplete="off" />
        <TextField label={auth.name} name="name" required maxLength={100} autoComplete="off" />
        <SelectField label={account.role} name="role" defaultValue="viewer">
          {ROLES.map((role) => <option key={role} value={role}>{account.roles[role]}: {account.roleHints[role]}</option>)}
        </SelectField>
        {action.error && <Notice kind="error">{action.error}</Notice>}
      </form>
    </Dialog>
  );
}
