import { useQuery } from "@tanstack/react-query";
import { Cpu } from "lucide-react";
import { workers } from "../../api/queries";
import { texts } from "../../texts";
import { formatSpan } from "../format";
import { Link } from "../router";

const t = texts.app.workers;

/** How busy the analysis is: workers, queue, and how long jobs waited on average. */
export function WorkersChip() {
  const { data } = useQuery(workers);
  if (!data) return null;
  const { active, total, queue_depth: queued, average_wait_s: wait } = data;
  const hint = [t.hint(active, total, queued), wait == null ? "" : t.averageWait(formatSpan(wait))].filter(Boolean).join(". ");
  return (
    <Link to="/activity" title={hint} className="touch-target hidden h-8 items-center gap-1.5 rounded px-2 text-xs text-muted hover:bg-raised hover:text-text md:flex">
      <Cpu size={13} aria-hidden className={active > 0 ? "text-accent" : ""} />
      <span>{t.label(active, total)}</span>
      {queued > 0 && <span className="text-warn">· {t.queued(queued)}</span>}
      {wait != null && <span className="hidden xl:inline">· {t.wait(formatSpan(wait))}</span>}
    </Link>
  );
}
