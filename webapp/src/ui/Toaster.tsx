import { createRoot } from "react-dom/client";
import { toast, Toaster } from "sonner";

const host = document.body.appendChild(document.createElement("div"));
createRoot(host).render(
  <Toaster
    position="bottom-right"
    theme={document.documentElement.dataset["theme"] === "light" ? "light" : "dark"}
    toastOptions={{
      style: {
        background: "var(--k1-raised)",
        color: "var(--k1-text)",
        border: "1px solid var(--k1-line-strong)",
        boxShadow: "var(--k1-shadow)",
        font: "inherit",
      },
    }}
  />,
);

export { toast };
