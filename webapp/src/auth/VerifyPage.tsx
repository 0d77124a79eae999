import { useEffect, useRef, useState } from "react";
import { api, unwrap } from "../api/client";
import { describeError } from "../api/errors";
import { useSearch } from "../app/router";
import { texts } from "../texts";
import { Spinner } from "../ui/Spinner";
import { AuthFrame, BackToSignIn, Notice } from "./AuthFrame";

const t = texts.auth;

/** Confirms an e-mail address by the token of a letter. */
export default function VerifyPage() {
  const token = useSearch().get("token");
  const [state, setState] = useState<"busy" | "done" | { error: string }>("busy");
  const began = useRef(false);
  useEffect(() => {
    if (token === null || began.current) return;
    began.current = true;
    unwrap(api.POST("/auth/verify", { body: { token } })).then(
      () => setState("done"),
      (failure: unknown) => setState({ error: describeError(failure).detail }),
    );
  }, [token]);
  return (
    <AuthFrame title={t.verifyTitle}>
      {token === null ? (
        <Notice kind="error">{t.verifyNoToken}</Notice>
      ) : state === "busy" ? (
        <p role="status" className="flex items-center gap-2 text-muted"><Spinner />{texts.common.loading}</p>
      ) : state === "done" ? (
        <Notice kind="news">{t.verifyDone}</Notice>
      ) : (
        <Notice kind="error">{state.error}</Notice>
      )}
      <div className="mt-4"><BackToSignIn /></div>
    </AuthFrame>
  );
}
