import { Archive, CircleAlert, CircleCheck, CircleX, CloudUpload, LoaderCircle } from "lucide-react";
import type { TrackStatus } from "../../api/types";
import { library as t } from "../../texts/library";
import { cx } from "../../ui/cx";

const MARKS = {
  uploading: { icon: CloudUpload, tone: "text-muted" },
  processing: { icon: LoaderCircle, tone: "text-accent motion-safe:animate-[k1-spin_1.2s_linear_infinite]" },
  ready: { icon: CircleCheck, tone: "text-ok" },
  warning: { icon: CircleAlert, tone: "text-warn" },
  failed: { icon: CircleX, tone: "text-danger" },
  deleted: { icon: Archive, tone: "text-muted" },
} as const;

/** The state of a track as an icon; its name is read by screen readers and shown as a tooltip. */
export function StatusMark({ status }: { status: TrackStatus }) {
  const { icon: Icon, tone } = MARKS[status];
  return (
    <span title={t.statusHints[status]} className="flex">
      <Icon size={15} aria-hidden className={cx("shrink-0", tone)} />
      <span className="sr-only">{t.statuses[status]}</span>
    </span>
  );
}
