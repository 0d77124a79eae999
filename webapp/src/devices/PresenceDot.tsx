import { devicesTexts as t } from "../texts/fleet/devices";
import { cx } from "../ui/cx";

/** Whether a device is there: a full dot, or a ring. */
export function PresenceDot({ online }: { online: boolean }) {
  return <span role="img" aria-label={online ? t.online : t.offline} title={online ? t.online : t.offline} className={cx("inline-block size-2 shrink-0 rounded-full border", online ? "border-ok bg-ok" : "border-muted")} />;
}
