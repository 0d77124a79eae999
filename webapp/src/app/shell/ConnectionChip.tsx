import { RefreshCw, Wifi, WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import type { ConnectionStatus } from "../../live/machine";
import { liveHub, useConnection } from "../../live/useLive";
import { texts } from "../../texts";
import { Badge } from "../../ui/Badge";
import { Spinner } from "../../ui/Spinner";

const t = texts.app.connection;

/** Says whether changes arrive: live, reconnecting with a countdown, or polling. */
export function ConnectionChip() {
  const status = useConnection();
  const seconds = useCountdown(status.kind === "reconnecting" ? status.retryAt : undefined);
  return (
    <span role="status" aria-label={describe(status)} className="flex">
      {chip(status, seconds)}
    </span>
  );
}

function chip(status: ConnectionStatus, seconds: number | undefined) {
  switch (status.kind) {
    case "live":
      return <Badge tone="ok" icon={<Wifi size={12} aria-hidden />} title={t.liveHint}><Short>{t.live}</Short></Badge>;
    case "polling":
      return <Badge tone="accent" icon={<RefreshCw size={12} aria-hidden />} title={t.pollingHint}><Short>{t.polling}</Short></Badge>;
    case "connecting":
      return <Badge icon={<Spinner className="size-2.5" />}><Short>{t.connecting}</Short></Badge>;
    case "reconnecting":
      return (
        <button type="button" title={t.reconnectingHint} onClick={() => liveHub().retryNow()} className="touch-target flex items-center rounded">
          <Badge tone="warn" icon={<WifiOff size={12} aria-hidden />}>
            {seconds === undefined ? t.reconnecting : t.reconnectingIn(seconds)}
          </Badge>
        </button>
      );
  }
}

function Short({ children }: { children: string }) {
  return <span className="hidden md:inline">{children}</span>;
}

function describe(status: ConnectionStatus): string {
  return t[status.kind];
}

function useCountdown(until: number | undefined): number | undefined {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (until === undefined) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [until]);
  return until === undefined ? undefined : Math.max(0, Math.ceil((until - now) / 1000));
}
