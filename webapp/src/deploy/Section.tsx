import type { ReactNode } from "react";

/** A part of the sheet with its heading, and what belongs to it at the right of that. */
export function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={title} className="mb-5">
      <div className="mb-1.5 flex min-h-7 flex-wrap items-center gap-x-3 gap-y-1">
        <h3 className="text-2xs font-semibold tracking-wide text-muted uppercase">{title}</h3>
        <div className="flex min-w-0 flex-1 flex-wrap items-center justify-end gap-1.5">{aside}</div>
      </div>
      {children}
    </section>
  );
}
