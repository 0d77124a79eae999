import { useState, type FormEvent } from "react";
import { api, unwrap } from "../api/client";
import { texts } from "../texts";
import { Button } from "../ui/Button";
import { TextField } from "../ui/Field";
import { AuthFrame, BackToSignIn, Notice } from "./AuthFrame";
import { useAction } from "./useAction";

const t = texts.auth;

/** Makes an account where people may do so themselves. */
export default function RegisterPage() {
  const action = useAction();
  const [isSent, setSent] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    action.run(async () => {
      const body = {
        email: String(form.get("email")),
        name: String(form.get("name")),
        password: String(form.get("password")),
        locale: navigator.language.slice(0, 2),
      };
      await unwrap(api.POST("/auth/register", { body }));
      setSent(true);
    });
  };
  return (
    <AuthFrame title={t.registerTitle}>
      {isSent ? (
        <Notice kind="news">{t.registerSent}</Notice>
      ) : (
        <form onSubmit={submit} className="flex flex-col gap-3">
          <TextField label={t.name} name="name" autoComplete="name" required maxLength={100} autoFocus />
          <TextField label={t.email} name="email" type="email" autoComplete="username" required />
          <TextField label={t.password} name="password" type="password" autoComplete="new-password" required hint={t.passwordHint} />
          {action.error && <Notice kind="error">{action.error}</Notice>}
          <Button type="submit" tone="primary" busy={action.busy} className="mt-1">{t.register}</Button>
        </form>
      )}
      <div className="mt-4"><BackToSignIn /></div>
    </AuthFrame>
  );
}
