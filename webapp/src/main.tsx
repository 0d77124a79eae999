import "./ui/start.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queryClient } from "./api/queries";
import { App } from "./app/App";
import { reloadAfterUpdate } from "./app/reloadAfterUpdate";
import { applyTheme } from "./app/theme";

applyTheme();
addEventListener("vite:preloadError", () => void reloadAfterUpdate());
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
