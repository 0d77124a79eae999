import { useId, type InputHTMLAttributes, type ReactNode, type Ref, type SelectHTMLAttributes, type TextareaHTMLAttributes } from "react";
import { cx } from "./cx";

export const INPUT =
  "touch-target h-8 w-full min-w-0 rounded border border-line bg-bg px-2.5 text-sm text-text placeholder:text-muted " +
  "hover:border-line-strong focus-visible:border-accent aria-invalid:border-danger disabled:opacity-50";

interface FieldShape {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  /** Hides the label from sight, not from screen readers. */
  quiet?: boolean;
}

/** Wraps a control with its label, hint and error. */
function Field({ id, label, hint, error, quiet, children }: FieldShape & { id: string; children: ReactNode }) {
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label htmlFor={id} className={quiet ? "sr-only" : "text-xs font-medium text-soft"}>
        {label}
      </label>
      {children}
      {(error || hint) && (
        <p id={`${id}-note`} role={error ? "alert" : undefined} className={cx("text-xs", error ? "text-danger" : "text-muted")}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

export type TextFieldProps = FieldShape & InputHTMLAttributes<HTMLInputElement> & { ref?: Ref<HTMLInputElement> };

/** A line of text with its label. */
export function TextField({ label, hint, error, quiet, className, ...rest }: TextFieldProps) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint} error={error} quiet={quiet ?? false}>
      <input
        type="text"
        {...rest}
        id={id}
        aria-invalid={error ? true : undefined}
        aria-describedby={error || hint ? `${id}-note` : undefined}
        className={cx(INPUT, className)}
      />
    </Field>
  );
}

export type TextAreaProps = FieldShape & TextareaHTMLAttributes<HTMLTextAreaElement>;

/** Several lines of text with their label. */
export function TextArea({ label, hint, error, quiet, className, ...rest }: TextAreaProps) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint} error={error} quiet={quiet ?? false}>
      <textarea
        {...rest}
        id={id}
        aria-invalid={error ? true : undefined}
        aria-describedby={error || hint ? `${id}-note` : undefined}
        className={cx(INPUT, "h-auto min-h-20 py-1.5", className)}
      />
    </Field>
  );
}

export type SelectFieldProps = FieldShape & SelectHTMLAttributes<HTMLSelectElement>;

/** A choice of a few options (`<option>` children) with its label. */
export function SelectField({ label, hint, error, quiet, className, children, ...rest }: SelectFieldProps) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint} error={error} quiet={quiet ?? false}>
      <select {...rest} id={id} aria-describedby={error || hint ? `${id}-note` : undefined} className={cx(INPUT, "pr-1", className)}>
        {children}
      </select>
    </Field>
  );
}

export interface SwitchProps {
  label: string;
  hint?: string;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}

/** An on/off switch with its label. */
export function Switch({ label, hint, checked, disabled, onChange }: SwitchProps) {
  const id = useId();
  return (
    <div className="flex items-center justify-between gap-4">
      <div>
        <label htmlFor={id} className="text-sm">{label}</label>
        {hint && <p id={`${id}-note`} className="text-xs text-muted">{hint}</p>}
      </div>
      <button
        id={id}
        type="button"
        role="switch"
        aria-checked={checked}
        aria-describedby={hint ? `${id}-note` : undefined}
        disabled={disabled}
        onClick={() => onChange(!checked)}
        className={cx("relative h-5 w-9 shrink-0 rounded-full border transition-colors", checked ? "border-transparent bg-accent-solid" : "border-line-strong bg-raised")}
      >
        <span className={cx("absolute top-0.5 size-3.5 rounded-full transition-[left]", checked ? "left-[18px] bg-on-accent" : "left-0.5 bg-muted")} />
      </button>
    </div>
  );
}

export interface CheckboxProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "type"> {
  /** Read by screen readers. */
  label: string;
  ref?: Ref<HTMLInputElement>;
}

/** A checkbox without a visible label. */
export function Checkbox({ label, className, ...rest }: CheckboxProps) {
  return <input type="checkbox" aria-label={label} {...rest} className={cx("size-3.5 accent-(--k1-accent-solid)", className)} />;
}
