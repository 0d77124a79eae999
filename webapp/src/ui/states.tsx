import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { describeError } from "../api/errors";
import { texts } from "../texts";
import { Button } from "./Button";
import { cx } from "./cx";

/** A grey block in the place of content that is on its way. Give it a width and a height; many together stand still. */
export function Skeleton({ still = false, className }: { still?: boolean; className?: string }) {
  return <span aria-hidden="true" className={cx("skeleton block rounded", still && "animate-none", className)} />;
}

export interface EmptyProps {
  icon?: ReactNode;
  title: string;
  text?: ReactNode;
  action?: ReactNode;
  /** Whether nothing else is on the page, so that this is its heading. */
  page?: boolean;
  className?: string;
}

/** What stands where nothing is yet: says why, and what to do. */
export function Empty({ icon, title, text, action, page = false, className }: EmptyProps) {
  const Title = page ? "h1" : "p";
  return (
    <div className={cx("flex h-full flex-col items-center justify-center gap-3 p-8 text-center", className)}>
      {icon && <span className="text-muted" aria-hidden="true">{icon}</span>}
      <div>
        <Title className="text-base font-medium">{title}</Title>
        {text && <p className="mx-auto mt-1 max-w-sm text-sm text-muted">{text}</p>}
      </div>
      {action}
    </div>
  );
}

export interface ErrorStateProps {
  error: unknown;
  /** Whether nothing else is on the page, so that this is its heading. */
  page?: boolean;
  onRetry?: () => void;
  className?: string;
}

/** What stands where something failed: the reason in a sentence, a retry, and the trace id for support. */
export function ErrorState({ error, page = false, onRetry, className }: ErrorStateProps) {
  const { title, detail, traceId } = describeError(error);
  const Title = page ? "h1" : "p";
  return (
    <div role="alert" className={cx("flex h-full flex-col items-center justify-center gap-3 p-8 text-center", className)}>
      <TriangleAlert size={24} className="text-danger" aria-hidden />
      <div>
        <Title className="text-base font-medium">{title}</Title>
        <p className="mx-auto mt-1 max-w-md text-sm text-muted">{detail}</p>
        {traceId && <p className="mt-1 font-mono text-2xs text-muted select-all">{texts.errors.trace(traceId)}</p>}
      </div>
      {onRetry && <Button onClick={onRetry}>{texts.common.retry}</Button>}
    </div>
  );
}

/** A bar of progress, 0 to 100. */
export function Progress({ label, percent, className }: { label: string; percent: number; className?: string }) {
  const value = Math.min(100, Math.max(0, percent));
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuenow={Math.round(value)}
      aria-valuemin={0}
      aria-valuemax={100}
      className={cx("h-1 overflow-hidden rounded-full bg-hover", className)}
    >
      <div className="h-full rounded-full bg-accent-solid transition-[width] duration-300" style={{ width: `${value}%` }} />
    </div>
  );
}

/** A key of the keyboard. */
export function Kbd({ children }: { children: ReactNode }) {
  return <kbd className="inline-flex h-5 min-w-5 items-center justify-center rounded border border-line bg-raised px-1 font-sans text-2xs text-soft">{children}</kbd>;
}
