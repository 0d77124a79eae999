import { useState } from "react";
import { useSearch } from "../app/router";
import { texts } from "../texts";
import { AuthFrame, BackToSignIn, Notice } from "./AuthFrame";
import { PasswordForm } from "./PasswordForm";

const t = texts.auth;

/** Accepts an invitation: its reader chooses a password. */
export default function AcceptPage() {
  const token = useSearch().get("token");
  const [isDone, setDone] = useState(false);
  return (
    <AuthFrame title={t.acceptTitle} text={t.acceptText}>
      {!token && <Notice kind="error">{t.verifyNoToken}</Notice>}
      {isDone && <Notice kind="news">{t.resetDone}</Notice>}
      {token && !isDone && <PasswordForm token={token} onDone={() => setDone(true)} />}
      <div className="mt-4"><BackToSignIn /></div>
    </AuthFrame>
  );
}
