import { useState, type FormEvent } from "react";
import { api, unwrap } from "../api/client";
import { useSearch } from "../app/router";
import { texts } from "../texts";
import { Button } from "../ui/Button";
import { TextField } from "../ui/Field";
import { AuthFrame, BackToSignIn, Notice } from "./AuthFrame";
import { PasswordForm } from "./PasswordForm";
import { useAction } from "./useAction";

const t = texts.auth;

/** Sends a link to who forgot the password, and takes the new password when the link is opened (`?token=`). */
export default function ResetPage() {
  const token = useSearch().get("token");
  const [isDone, setDone] = useState(false);
  return (
    <AuthFrame title={token ? t.resetChoose : t.resetTitle} {...(token ? {} : { text: t.resetText })}>
      {isDone ? (
        <Notice kind="news">{token ? t.resetDone : t.resetSent}</Notice>
      ) : token ? (
        <PasswordForm token={token} onDone={() => setDone(true)} />
      ) : (
        <AddressForm onDone={() => setDone(true)} />
      )}
      <div className="mt-4"><BackToSignIn /></div>
    </AuthFrame>
  );
}

function AddressForm({ onDone }: { onDone: () => void }) {
  const action = useAction();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const email = String(new FormData(event.currentTarget).get("email"));
    action.run(async () => {
      await unwrap(api.POST("/auth/forgot", { body: { email } }));
      onDone();
    });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <TextField label={t.email} name="email" type="email" autoComplete="username" required autoFocus />
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <Button type="submit" tone="primary" busy={action.busy}>{t.resetSend}</Button>
    </form>
  );
}
