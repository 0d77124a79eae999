import { Check, CircleDashed, Trash2 } from "lucide-react";
import type { Schemas } from "../../api/types";
import { formatAgo } from "../../app/format";
import { artefacts as t } from "../../texts/track/artefacts";
import { Badge } from "../../ui";

/** Whether a file is there. */
export function StateBadge({ file: { status, deleted_at } }: { file: Schemas["Artefact"] }) {
  if (status === "present") {
    return (
      <Badge tone="ok" icon={<Check size={12} aria-hidden />}>
        {t.present}
      </Badge>
    );
  }
  if (status === "missing") {
    return (
      <Badge icon={<CircleDashed size={12} aria-hidden />} title={t.missingHint}>
        {t.missing}
      </Badge>
    );
  }
  return (
    <Badge tone="warn" icon={<Trash2 size={12} aria-hidden />} {...(deleted_at == null ? {} : { title: t.deletedAt(formatAgo(deleted_at)) })}>
      {t.deleted}
    </Badge>
  );
}
