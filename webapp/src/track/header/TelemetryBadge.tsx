import { useQuery } from "@tanstack/react-query";
import { Activity, CircleOff } from "lucide-react";
import { track as trackTexts } from "../../texts/track/track";
import { Badge } from "../../ui";
import { devicesOf } from "../queries";

const t = trackTexts.telemetry;

/** Says how many devices report that they run the track, and how many of them are connected. */
export function TelemetryBadge({ trackId }: { trackId: string }) {
  const devices = useQuery(devicesOf(trackId));
  if (!devices.data || devices.data.length === 0) return null;
  const online = devices.data.filter((device) => device.online).length;
  const title = t.hint(devices.data.map(({ id, online: isOnline }) => `${id} (${isOnline ? t.online : t.offline})`).join(", "));
  return online > 0 ? (
    <Badge tone="ok" icon={<Activity size={12} aria-hidden />} title={title}>
      {t.connected(online, devices.data.length)}
    </Badge>
  ) : (
    <Badge tone="warn" icon={<CircleOff size={12} aria-hidden />} title={title}>
      {t.disconnected(devices.data.length)}
    </Badge>
  );
}
