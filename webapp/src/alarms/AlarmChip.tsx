import { useQuery } from "@tanstack/react-query";
import { BellRing } from "lucide-react";
import { Link } from "../app/router";
import { texts } from "../texts";
import { openAlarms } from "./queries";

/** How many alarms are open; nothing where none is. */
export function AlarmChip() {
  const { data: count } = useQuery(openAlarms);
  if (!count) return null;
  return (
    <Link to="/alarms" title={texts.app.openAlarms(count)} aria-label={texts.app.openAlarms(count)} className="touch-target flex h-8 items-center gap-1.5 rounded bg-danger-soft px-2 text-xs font-medium text-danger hover:bg-raised">
      <BellRing size={13} aria-hidden />
      <span aria-hidden>{count}</span>
    </Link>
  );
}
