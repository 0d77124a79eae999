import "./ui/start.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queryClient } from "./api/queries";
import { hasHint } from "./api/session";
import { App } from "./app/App";
import { matchPath } from "./app/router";
import { ROUTES } from "./app/routes";
import { applyTheme } from "./app/theme";

const RELOADED = "k1.reloaded";

applyTheme();
// After an update of the server the files of the older page are gone: the newer page is loaded instead, once.
addEventListener("vite:preloadError", () => {
  if (Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) < 30_000) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
});
// Who is signed in, most likely, needs these next: the data first, then the code, while the first call is on its way.
if (hasHint()) {
  const route = ROUTES.find(({ pattern }) => matchPath(pattern, location.pathname));
  route?.ask?.();
  setTimeout(() => {
    void import("./app/Shell");
    route?.load();
  });
}
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
