import { useId, type ReactNode } from "react";

export interface CardProps {
  title: string;
  text?: string;
  action?: ReactNode;
  children?: ReactNode;
}

/** A part of the profile, with its heading and an action beside it. */
export function Card({ title, text, action, children }: CardProps) {
  const id = useId();
  return (
    <section aria-labelledby={id} className="rounded-lg border border-line bg-panel">
      <div className="flex items-start gap-4 px-4 py-3">
        <div className="min-w-0 flex-1">
          <h2 id={id} className="text-base font-semibold">{title}</h2>
          {text && <p className="text-sm text-muted">{text}</p>}
        </div>
        {action}
      </div>
      {children}
    </section>
  );
}
