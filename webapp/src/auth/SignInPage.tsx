import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { api, unwrap } from "../api/client";
import { describeError } from "../api/errors";
import { beginSession } from "../api/session";
import { startSession } from "../api/startSession";
import { useSession } from "../api/useSession";
import { Link, navigate, useSearch } from "../app/router";
import { texts } from "../texts";
import { Button } from "../ui/Button";
import { TextField } from "../ui/Field";
import { Spinner } from "../ui/Spinner";
import { AuthFrame, Notice } from "./AuthFrame";
import { useAction } from "./useAction";

const t = texts.auth;

/** Signs people in: by the one-time link of `k1 up` (`?token=`), by password, or with a provider. */
export default function SignInPage() {
  const search = useSearch();
  const session = useSession();
  const [next] = useState(() => localPath(search.get("next")));
  const link = useLinkSignIn();

  useEffect(() => {
    if (search.has("oauth")) startSession().catch(() => undefined);
  }, [search]);
  useEffect(() => {
    if (session.kind === "signed_in") navigate(next, { replace: true });
  }, [session, next]);

  if (link.busy) {
    return (
      <AuthFrame title={t.signIn}>
        <p role="status" className="flex items-center gap-2 text-muted">
          <Spinner />
          {t.linkSigningIn}
        </p>
      </AuthFrame>
    );
  }
  const providerError = search.get("error");
  return (
    <AuthFrame title={t.signIn}>
      <div className="flex flex-col gap-4">
        {link.error && (
          <Notice kind="error">
            {t.linkFailed}: {link.error} {t.linkHint}
          </Notice>
        )}
        {providerError && <Notice kind="error">{t.providerFailed(providerError)}</Notice>}
        {search.get("reason") === "expired" && <Notice kind="news">{t.expired}</Notice>}
        <PasswordForm />
        <Providers next={next} />
      </div>
    </AuthFrame>
  );
}

function PasswordForm() {
  const action = useAction();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    action.run(async () => {
      const body = { email: String(form.get("email")), password: String(form.get("password")), cookies: true };
      beginSession(await unwrap(api.POST("/auth/login", { body })));
    });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <TextField label={t.email} name="email" type="email" autoComplete="username" required autoFocus />
      <TextField label={t.password} name="password" type="password" autoComplete="current-password" required />
      {action.error && <Notice kind="error">{action.error}</Notice>}
      <Button type="submit" tone="primary" busy={action.busy} className="mt-1 w-full">{t.signIn}</Button>
      <Link to="/reset" className="touch-target inline-flex items-center self-start text-sm text-accent hover:underline">{t.forgot}</Link>
    </form>
  );
}

function Providers({ next }: { next: string }) {
  const { data } = useQuery({
    queryKey: ["providers"],
    queryFn: () => unwrap(api.GET("/auth/providers")),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (!data) return null;
  const returnTo = `/sign-in?oauth=done&next=${encodeURIComponent(next)}`;
  return (
    <>
      {data.items.length > 0 && <p className="flex items-center gap-3 text-xs text-muted before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">{t.or}</p>}
      {data.items.map(({ id, name }) => (
        <a
          key={id}
          href={`/api/v1/auth/oauth/${encodeURIComponent(id)}?return_to=${encodeURIComponent(returnTo)}`}
          className="touch-target flex h-8 items-center justify-center rounded border border-line bg-raised text-sm hover:border-line-strong hover:bg-hover"
        >
          {t.signInWith(name)}
        </a>
      ))}
      <p className="border-t border-line pt-3 text-sm text-muted">
        {data.sign_up === "open" ? <Link to="/register" className="text-accent hover:underline">{t.register}</Link> : t.invitedOnly}
      </p>
    </>
  );
}

/** Signs in by the token of the address, once, and takes the token out of the address and of the history. */
function useLinkSignIn(): { busy: boolean; error: string | undefined } {
  const [token] = useState(() => new URLSearchParams(location.search).get("token"));
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(token !== null);
  const began = useRef(false);
  useEffect(() => {
    if (token === null || began.current) return;
    began.current = true; // The token works once, and effects run twice while developing.
    history.replaceState(null, "", location.pathname);
    unwrap(api.POST("/auth/link", { body: { token, cookies: true } }))
      .then(beginSession)
      .catch((failure: unknown) => setError(describeError(failure).detail))
      .finally(() => setBusy(false));
  }, [token]);
  return { busy, error };
}

/** Returns where to go after the sign-in: a path of this page and nothing else. */
export function localPath(next: string | null): string {
  return next !== null && /^\/(?![/\\])/.test(next) && !next.startsWith("/sign-in") ? next : "/tracks";
}
