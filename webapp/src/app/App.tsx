import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { sessionState } from "../api/session";
import { startSession } from "../api/startSession";
import { useSession } from "../api/useSession";
import { texts } from "../texts";
import { ErrorState } from "../ui/states";
import { Spinner } from "../ui/Spinner";
import { ErrorBoundary } from "./ErrorBoundary";
import { matchPath, navigate, usePath } from "./router";
import { PUBLIC_ROUTES } from "./routes";

const Shell = lazy(() => import("./Shell"));

/** The whole page: pages for everyone, or the app shell for who is signed in. */
export function App() {
  const path = usePath();
  const isPublic = PUBLIC_ROUTES.some(({ pattern }) => matchPath(pattern, path));
  return (
    <ErrorBoundary>
      <Suspense fallback={<Starting />}>{isPublic ? <PublicPage path={path} /> : <SignedIn />}</Suspense>
    </ErrorBoundary>
  );
}

function PublicPage({ path }: { path: string }) {
  for (const { pattern, page: Page } of PUBLIC_ROUTES) {
    const fields = matchPath(pattern, path);
    if (fields) return <Page key={pattern} fields={fields} />;
  }
  return null;
}

function SignedIn() {
  const session = useSession();
  const queryClient = useQueryClient();
  const [error, setError] = useState<unknown>();

  const start = () => {
    setError(undefined);
    startSession().catch(setError);
  };
  useEffect(() => {
    if (sessionState().kind === "unknown") start();
  }, []);
  useEffect(() => {
    if (session.kind !== "signed_out") return;
    queryClient.clear();
    const next = location.pathname + location.search;
    const parameters = new URLSearchParams();
    if (next !== "/") parameters.set("next", next);
    if (session.reason === "expired") parameters.set("reason", "expired");
    const query = parameters.toString();
    navigate(`/sign-in${query ? `?${query}` : ""}`, { replace: true });
  }, [session, queryClient]);

  if (error) return <ErrorState error={error} onRetry={start} />;
  return session.kind === "signed_in" ? <Shell /> : <Starting />;
}

function Starting() {
  return (
    <div role="status" className="flex h-full items-center justify-center gap-2 text-muted">
      <Spinner />
      {texts.app.starting}
    </div>
  );
}
