import type { FormEvent } from "react";
import { api, unwrap } from "../api/client";
import { texts } from "../texts";
import { Button } from "../ui/Button";
import { TextField } from "../ui/Field";
import { Notice } from "./AuthFrame";
import { useAction } from "./useAction";

const t = texts.auth;

/** Chooses a password with the token of a letter: after a reset, and to accept an invitation. */
export function PasswordForm({ token, onDone }: { token: string; onDone: () => void }) {
  const action = useAction();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const password = String(new FormData(event.currentTarget).get("password"));
    action.run(async () => {
      await unwrap(api.POST("/auth/reset", { body: { token, new_password: password } }));
      onDone();
    });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <TextField label={t.newPassword} name="password" type="password" autoComplete="new-password" required autoFocus hint={t.passwordHint} />
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <Button type="submit" tone="primary" busy={action.busy}>{texts.common.save}</Button>
    </form>
  );
}
