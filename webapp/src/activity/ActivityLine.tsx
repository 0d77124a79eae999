import { AudioLines, CircleAlert, CircleCheck, Info, Lightbulb, PencilLine, Pin, PinOff, Rocket, Siren, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { formatAgo, formatTime } from "../app/format";
import { Link } from "../app/router";
import { TrackName } from "../app/shell/TrackName";
import { activityTexts as t } from "../texts/activity";
import { IconButton } from "../ui/Button";
import { cx } from "../ui/cx";
import type { ActivityItem, Kind, Severity } from "./items";
import { togglePin } from "./pins";

const icon = { size: 14, "aria-hidden": true } as const;
const KIND_ICONS: Record<Kind, ReactNode> = { job: <AudioLines {...icon} />, deployment: <Rocket {...icon} />, edit: <PencilLine {...icon} />, alarm: <Siren {...icon} />, device: <Lightbulb {...icon} /> };
const SEVERITIES: Record<Severity, readonly [string, ReactNode]> = {
  info: ["text-muted", <Info key="info" {...icon} />],
  good: ["text-ok", <CircleCheck key="good" {...icon} />],
  warn: ["text-warn", <TriangleAlert key="warn" {...icon} />],
  bad: ["text-danger", <CircleAlert key="bad" {...icon} />],
};

/** One line of the log. */
export function ActivityLine({ item, isPinned }: { item: ActivityItem; isPinned: boolean }) {
  const [tone, mark] = SEVERITIES[item.severity];
  const subject = item.deviceId ? <span className="font-mono text-xs">{item.deviceId}</span> : item.trackId ? <TrackName trackId={item.trackId} /> : null;
  return (
    <li className="group flex items-start gap-2.5 border-b border-line px-3 py-1.5 hover:bg-raised">
      <span className={cx("mt-1 shrink-0", tone)} role="img" aria-label={t.levels[item.severity]}>{mark}</span>
      <span className="mt-1 hidden shrink-0 text-muted md:inline" role="img" aria-label={t.kinds[item.kind]} title={t.kinds[item.kind]}>{KIND_ICONS[item.kind]}</span>
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-x-2 text-sm">
          {subject && (item.to ? <Link to={item.to} className="touch-target flex max-w-full items-center font-medium hover:underline pointer-coarse:-my-3"><span className="truncate">{subject}</span></Link> : <span className="max-w-full truncate font-medium">{subject}</span>)}
          <span className={item.severity === "info" ? "text-soft" : tone}>{item.text}</span>
        </p>
        {(item.detail || item.actor) && <p className="text-xs wrap-anywhere text-muted">{[item.detail, item.actor && t.by(item.actor)].filter(Boolean).join(" · ")}</p>}
      </div>
      <time dateTime={item.at} title={formatTime(item.at)} className="mt-0.5 shrink-0 text-xs text-muted">{formatAgo(item.at)}</time>
      <IconButton size="sm" label={isPinned ? t.unpin : t.pin} onClick={() => togglePin(item)} className={cx("-my-1 shrink-0", isPinned ? "text-accent" : "md:opacity-0 md:group-focus-within:opacity-100 md:group-hover:opacity-100")}>
        {isPinned ? <PinOff size={13} /> : <Pin size={13} />}
      </IconButton>
    </li>
  );
}
