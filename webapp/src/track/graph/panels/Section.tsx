import { useId, type ReactNode } from "react";

/** A part of the graph tab with its heading. */
export function Section({ title, note, children }: { title: string; note?: string; children: ReactNode }) {
  const id = useId();
  return (
    <section aria-labelledby={id} className="min-w-0 border-b border-line px-4 py-3">
      <div className="mb-2 flex flex-wrap items-baseline gap-x-2">
        <h2 id={id} className="text-sm font-semibold break-all">
          {title}
        </h2>
        {note && <span className="text-xs text-muted">{note}</span>}
      </div>
      {children}
    </section>
  );
}
