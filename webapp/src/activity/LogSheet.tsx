import { useEffect, useRef } from "react";
import { Link, setSearch, usePath } from "../app/router";
import { activityTexts as t } from "../texts/activity";
import { Sheet } from "../ui/Dialog";
import { ActivityLog } from "./ActivityLog";

/** The activity log over the lower part of a phone's window, whatever page is below it. */
export default function LogSheet({ onClose }: { onClose: () => void }) {
  const path = usePath();
  const first = useRef(path);
  // A line of the log leads to a page, which is to be seen then.
  useEffect(() => {
    if (path !== first.current) onClose();
  }, [path, onClose]);
  useEffect(() => () => setSearch({ log: undefined, kinds: undefined, least: undefined }), []);
  const page = <Link to="/activity" className="touch-target inline-flex items-center text-sm text-accent">{t.asPage}</Link>;
  return (
    <Sheet open side="bottom" onOpenChange={onClose} title={t.log} footer={page}>
      <div className="-mx-4 -mb-4 h-[60dvh]"><ActivityLog /></div>
    </Sheet>
  );
}
