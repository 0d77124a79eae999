import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";
import { cx } from "./cx";
import { Spinner } from "./Spinner";

export type ButtonTone = "primary" | "neutral" | "ghost" | "danger";

const TONES: Record<ButtonTone, string> = {
  primary: "bg-accent-solid text-on-accent font-semibold hover:brightness-110 disabled:hover:brightness-100",
  neutral: "bg-raised text-text border border-line hover:bg-hover hover:border-line-strong",
  ghost: "text-soft hover:bg-hover hover:text-text",
  danger: "bg-danger-solid text-on-danger font-semibold hover:brightness-110",
};

const BASE =
  "touch-target inline-flex shrink-0 items-center justify-center gap-1.5 rounded whitespace-nowrap select-none " +
  "transition-colors duration-100 disabled:opacity-45";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  tone?: ButtonTone;
  size?: "sm" | "md";
  /** Shows a spinner and refuses clicks. */
  busy?: boolean;
  icon?: ReactNode;
  ref?: Ref<HTMLButtonElement>;
}

/** A button with a text. */
export function Button({ tone = "neutral", size = "md", busy = false, icon, children, className, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={busy || rest.disabled}
      aria-busy={busy || undefined}
      className={cx(BASE, size === "sm" ? "h-7 px-2.5 text-xs" : "h-8 px-3 text-sm", TONES[tone], className)}
    >
      {busy ? <Spinner /> : icon}
      {children}
    </button>
  );
}

export interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "aria-label"> {
  /** What it does: read by screen readers, and shown as a tooltip. */
  label: string;
  tone?: "ghost" | "neutral" | "danger";
  size?: "sm" | "md";
  active?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

/** A button with an icon only. */
export function IconButton({ label, tone = "ghost", size = "md", active, className, children, ...rest }: IconButtonProps) {
  const toneClass = tone === "danger" ? "text-soft hover:bg-danger-soft hover:text-danger" : TONES[tone];
  return (
    <button
      type="button"
      title={label}
      {...rest}
      aria-label={label}
      aria-pressed={active}
      className={cx(BASE, size === "sm" ? "size-7" : "size-8", toneClass, active && "bg-accent-soft text-accent", className)}
    >
      {children}
    </button>
  );
}
