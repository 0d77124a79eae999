import { LiveHub, type TabChannel } from "./hub";
import { openTransport } from "./transports";

const LEADER = "k1.live.leader";
const CHANNEL = "k1.live";

/** Opens this tab's part in the browser's one connection. Without Web Locks or channels the tab connects by itself. */
export function openHub(): LiveHub {
  const shared = "locks" in navigator && "BroadcastChannel" in globalThis;
  const hub = new LiveHub({
    tab: `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`,
    channel: shared ? (new BroadcastChannel(CHANNEL) as TabChannel) : SILENT,
    openTransport,
    elect: (lead) => {
      if (shared) void navigator.locks.request(LEADER, lead);
      else void lead();
    },
  });
  addEventListener("online", () => hub.retryNow());
  addEventListener("pagehide", () => hub.close(), { once: true });
  // A page that comes back from the browser's cache has left the connection: it starts again.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  return hub;
}

const SILENT: TabChannel = { postMessage: () => undefined, onmessage: null, close: () => undefined };
