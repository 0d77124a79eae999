import { useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useState } from "react";
import { hasHint, sessionState } from "../api/session";
import { startSession } from "../api/startSession";
import { useSession } from "../api/useSession";
import { texts } from "../texts";
import { ErrorState } from "../ui/states";
import { Spinner } from "../ui/Spinner";
import { ErrorBoundary } from "./ErrorBoundary";
import { part } from "./part";
import { navigate, usePath } from "./router";
import { findRoute, PUBLIC_ROUTES, ROUTES } from "./routes";

const Shell = part(() => import("./shell/Shell"));

/** Loads what who is signed in sees first: the app shell with the page of the address, and the data of the page. */
function preloadFirst(): Promise<unknown> {
  const found = findRoute(ROUTES, location.pathname);
  found?.route.ask?.(found.fields);
  return Promise.all([Shell.preload(), found?.route.page.preload()]);
}

/** The whole page: pages for everyone, or the app shell for who is signed in. */
export function App() {
  const path = usePath();
  const open = findRoute(PUBLIC_ROUTES, path);
  const Page = open?.route.page;
  return (
    <ErrorBoundary>
      <Suspense fallback={<Starting />}>{Page ? <Page key={open.route.pattern} fields={open.fields} /> : <SignedIn />}</Suspense>
    </ErrorBoundary>
  );
}

function SignedIn() {
  const session = useSession();
  const queryClient = useQueryClient();
  const [error, setError] = useState<unknown>();
  const isLoaded = useFirstCode(session.kind === "signed_in" || (session.kind === "unknown" && hasHint()));

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
  return session.kind === "signed_in" && isLoaded ? <Shell /> : <Starting />;
}

/** Loads the code of the app shell and of its first page, and returns whether that is done. Not by Suspense, which
 * would hold back the page for 300 ms after the shell. */
function useFirstCode(isNeeded: boolean): boolean {
  const [isLoaded, setIsLoaded] = useState(false);
  useEffect(() => {
    if (isNeeded) void preloadFirst().then(() => setIsLoaded(true));
  }, [isNeeded]);
  return isLoaded;
}

function Starting() {
  return (
    <div role="status" className="flex h-full items-center justify-center gap-2 text-muted">
      <Spinner />
      {texts.app.starting}
    </div>
  );
}
