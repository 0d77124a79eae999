import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { finishBundle } from "./build-tools/finishBundle.ts";
import { makeGroups } from "./build-tools/groups.ts";
import { listPreloads } from "./build-tools/listPreloads.ts";

const gateway = process.env["K1_URL"] ?? "http://127.0.0.1:8080";

/** What who is signed in sees first. */
const FIRST = ["src/app/shell/Shell.tsx", "src/library/LibraryPage.tsx"];
const OPEN = ["SignInPage", "RegisterPage", "ResetPage", "VerifyPage", "AcceptPage"].map((page) => `src/auth/${page}.tsx`);

export default defineConfig({
  plugins: [react(), tailwindcss(), listPreloads({ first: FIRST, track: ["src/track/TrackPage.tsx"] }), finishBundle()],
  build: {
    outDir: "../services/gateway/k1_gateway/web",
    emptyOutDir: true,
    target: ["chrome123", "firefox128", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // The licences of what the bundle contains ask for their texts beside it.
    license: { fileName: "licences.txt" },
    chunkSizeWarningLimit: 400,
    rolldownOptions: { output: { codeSplitting: { groups: makeGroups(import.meta.dirname, { first: FIRST, open: OPEN }) } } },
  },
  server: {
    host: "127.0.0.1",
    port: 5173,
    proxy: {
      "/api": { target: gateway, ws: true, changeOrigin: true, headers: { Origin: gateway } },
    },
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/testing/setup.ts"],
    restoreMocks: true,
  },
});
