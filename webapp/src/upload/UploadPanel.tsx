import { ChevronDown, ChevronUp, ListX, Pause, Play, Plus } from "lucide-react";
import { useState } from "react";
import { uploadTexts as t } from "../texts/upload";
import { IconButton } from "../ui/Button";
import { Progress } from "../ui/states";
import { openUpload } from "./openUpload";
import { hasEnded, totalsOf, type Queue } from "./queue";
import { UploadRow } from "./UploadRow";
import { clearEnded, pauseAll, resumeAll, useQueue } from "./uploads";

/** The queue of uploads, at the lower right of every page. */
export default function UploadPanel() {
  const queue = useQueue();
  const [isOpen, setIsOpen] = useState(true);
  const totals = totalsOf(queue);
  const isMoving = totals.open > 0;
  return (
    <section
      aria-label={t.title}
      className="fixed inset-x-2 bottom-2 z-30 flex max-h-[min(28rem,60dvh)] flex-col overflow-hidden rounded-lg border border-line-strong bg-panel shadow-float md:left-auto md:w-[26rem]"
    >
      <header className="flex h-10 shrink-0 items-center gap-0.5 border-b border-line pr-1 pl-3">
        <h2 className="text-sm font-semibold">{t.title}</h2>
        <p role="status" className="min-w-0 flex-1 truncate px-2 text-xs text-muted">{summary(queue)}</p>
        {isMoving && <IconButton size="sm" label={t.pauseAll} onClick={pauseAll}><Pause size={14} /></IconButton>}
        {totals.paused > 0 && <IconButton size="sm" label={t.resumeAll} onClick={resumeAll}><Play size={14} /></IconButton>}
        <IconButton size="sm" label={t.addFiles} onClick={openUpload}><Plus size={14} /></IconButton>
        {queue.some(hasEnded) && <IconButton size="sm" label={t.clear} onClick={clearEnded}><ListX size={14} /></IconButton>}
        <IconButton size="sm" label={isOpen ? t.collapse : t.expand} aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          {isOpen ? <ChevronDown size={14} /> : <ChevronUp size={14} />}
        </IconButton>
      </header>
      {isMoving && <Progress label={t.title} percent={totals.percent} className="h-0.5 shrink-0 rounded-none" />}
      {isOpen && (
        <ul className="min-h-0 overflow-y-auto">
          {queue.map((item) => <UploadRow key={item.id} item={item} />)}
        </ul>
      )}
    </section>
  );
}

function summary(queue: Queue): string {
  const { open, percent, paused, analysing, failed, ready } = totalsOf(queue);
  const parts = [
    open > 0 && t.summary.open(open, percent),
    paused > 0 && t.summary.paused(paused),
    analysing > 0 && t.summary.analysing(analysing),
    failed > 0 && t.summary.failed(failed),
    ready > 0 && t.summary.ready(ready),
  ];
  return parts.filter(Boolean).join(" · ");
}
