import { setSearch, useSearch } from "../app/router";
import { activityTexts as t } from "../texts/activity";
import { cx } from "../ui/cx";
import { ActivityLog } from "./ActivityLog";
import { QueuePanel } from "./QueuePanel";

const PARTS = ["log", "queue"] as const;

/** What happened, and beside it the queue of the analysis. Narrow windows show one of the two. */
export default function ActivityPage() {
  const isQueue = useSearch().get("show") === "queue";
  return (
    <div className="flex h-full flex-col">
      <h1 className="sr-only">{t.title}</h1>
      <nav aria-label={t.title} className="grid shrink-0 grid-cols-2 border-b border-line bg-panel xl:hidden">
        {PARTS.map((part) => {
          const isCurrent = isQueue === (part === "queue");
          return (
            <button key={part} type="button" aria-pressed={isCurrent} onClick={() => setSearch({ show: part === "queue" ? part : undefined })} className={cx("h-11 border-b-2 text-sm -outline-offset-2", isCurrent ? "border-accent font-medium" : "border-transparent text-muted")}>
              {t[part]}
            </button>
          );
        })}
      </nav>
      <div className="flex min-h-0 flex-1">
        <div className={cx("min-w-0 flex-1 xl:block", isQueue && "hidden")}><ActivityLog /></div>
        <aside aria-label={t.queue} className={cx("overflow-y-auto border-line bg-panel xl:block xl:w-96 xl:shrink-0 xl:border-l", isQueue ? "w-full" : "hidden")}><QueuePanel /></aside>
      </div>
    </div>
  );
}
