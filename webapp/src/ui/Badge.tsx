import type { ReactNode } from "react";
import { cx } from "./cx";

export type Tone = "neutral" | "accent" | "ok" | "warn" | "danger";

export const SOFT_TONES: Record<Tone, string> = {
  neutral: "bg-raised text-soft border-line",
  accent: "bg-accent-soft text-accent border-transparent",
  ok: "bg-ok-soft text-ok border-transparent",
  warn: "bg-warn-soft text-warn border-transparent",
  danger: "bg-danger-soft text-danger border-transparent",
};

export interface BadgeProps {
  tone?: Tone;
  /** An icon beside the text, since colour alone says nothing to some. */
  icon?: ReactNode;
  title?: string;
  className?: string;
  children: ReactNode;
}

/** A short state. */
export function Badge({ tone = "neutral", icon, title, className, children }: BadgeProps) {
  return (
    <span
      title={title}
      className={cx(
        "inline-flex h-5 shrink-0 items-center gap-1 rounded border px-1.5 text-2xs font-medium whitespace-nowrap",
        SOFT_TONES[tone],
        className,
      )}
    >
      {icon}
      {children}
    </span>
  );
}
