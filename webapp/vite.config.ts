import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { finishBundle } from "./build-tools/finishBundle.ts";

const gateway = process.env["K1_URL"] ?? "http://127.0.0.1:8080";

/** What the entry shares with later files; first, so that it is in no other group. */
const CORE = /\/node_modules\/(react|react-dom|scheduler)\/|\/lucide-react\/dist\/esm\/(?!icons\/)|\/icons\/triangle-(alert|exclamation-point)\./;
const ICONS = /\/lucide-react\/dist\/esm\/icons\//;
const WIDGETS = /\/node_modules\/(radix-ui|@radix-ui|@floating-ui|aria-hidden|react-remove-scroll[^/]*|react-style-singleton|use-callback-ref|use-sidecar|get-nonce|tslib|detect-node-es)\//;

export default defineConfig({
  plugins: [react(), tailwindcss(), finishBundle()],
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
    // Each file costs a round trip, and browsers load six at once.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "core", test: CORE, priority: 3 },
            { name: "icons", test: ICONS, priority: 2 },
            { name: "widgets", test: WIDGETS, priority: 1 },
          ],
        },
      },
    },
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
