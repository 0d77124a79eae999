import { useQueryClient } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { api, unwrap } from "../../api/client";
import { setSession } from "../../api/session";
import { useUser } from "../../api/useSession";
import { account } from "../../texts/account";
import { auth } from "../../texts/auth";
import { Button } from "../../ui/Button";
import { TextField } from "../../ui/Field";
import { toastDone } from "../../ui/toast";
import { Notice } from "../AuthFrame";
import { accountKeys } from "../queries";
import { useAction } from "../useAction";
import { Card } from "./Card";

const t = account.password;

/** Changes the password, or sets one for people who have signed in by link or with a provider. */
export function PasswordSection() {
  const user = useUser();
  const queryClient = useQueryClient();
  const action = useAction();
  const title = user.has_password ? t.change : t.set;
  const change = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const element = event.currentTarget;
    const form = new FormData(element);
    const body = {
      new_password: String(form.get("next")),
      ...(user.has_password ? { current_password: String(form.get("current")) } : {}),
    };
    action.run(async () => {
      const { sessions_ended } = await unwrap(api.POST("/me/password", { body }));
      element.reset();
      setSession({ kind: "signed_in", user: { ...user, has_password: true } });
      toastDone(t.done(sessions_ended));
      void queryClient.invalidateQueries({ queryKey: accountKeys.sessions });
    });
  };
  return (
    <Card title={t.title} {...(user.has_password ? {} : { text: t.none })}>
      <form onSubmit={change} className="flex flex-col gap-3 border-t border-line px-4 py-3">
        <input type="email" name="username" autoComplete="username" value={user.email} readOnly hidden />
        <div className="grid gap-3 md:grid-cols-2">
          {user.has_password && <TextField label={t.current} name="current" type="password" autoComplete="current-password" required />}
          <TextField label={t.next} name="next" type="password" autoComplete="new-password" required hint={auth.passwordHint} />
        </div>
        {action.error && <Notice kind="error">{action.error}</Notice>}
        <div className="flex justify-end">
          <Button type="submit" tone="primary" busy={action.busy}>{title}</Button>
        </div>
      </form>
    </Card>
  );
}
