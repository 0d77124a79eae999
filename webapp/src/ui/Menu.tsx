import { Check } from "lucide-react";
import { DropdownMenu as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { cx } from "./cx";

export interface MenuProps {
  /** The button that opens it. */
  trigger: ReactNode;
  align?: "start" | "end";
  children: ReactNode;
}

/** A menu that opens from a button. */
export function Menu({ trigger, align = "end", children }: MenuProps) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Panel align={align}>{children}</Panel>
    </Radix.Root>
  );
}

/** A menu that is open beside an element, for lists in which a menu for each row would be too many. */
export function MenuAt({ anchor, onClose, children }: { anchor: HTMLElement; onClose: () => void; children: ReactNode }) {
  const { left, top, width, height } = anchor.getBoundingClientRect();
  return (
    <Radix.Root open modal={false} onOpenChange={(open) => !open && onClose()}>
      <Radix.Trigger asChild>
        <span aria-hidden className="pointer-events-none fixed" style={{ left, top, width, height }} />
      </Radix.Trigger>
      <Panel align="end" onCloseAutoFocus={() => anchor.focus()}>{children}</Panel>
    </Radix.Root>
  );
}

function Panel({ align, onCloseAutoFocus, children }: { align: "start" | "end"; onCloseAutoFocus?: () => void; children: ReactNode }) {
  return (
    <Radix.Portal>
      <Radix.Content
        align={align}
        sideOffset={4}
        collisionPadding={8}
        {...(onCloseAutoFocus ? { onCloseAutoFocus } : {})}
        className="fade-in z-50 max-h-(--radix-dropdown-menu-content-available-height) min-w-48 overflow-auto rounded-md border border-line bg-panel p-1 shadow-float"
      >
        {children}
      </Radix.Content>
    </Radix.Portal>
  );
}

export interface MenuItemProps {
  icon?: ReactNode;
  /** A shortcut, shown at the right. */
  hint?: ReactNode;
  danger?: boolean;
  disabled?: boolean;
  /** Shows a tick when true, and room for it when false. */
  checked?: boolean;
  onSelect: () => void;
  children: ReactNode;
}

/** One line of a menu. */
export function MenuItem({ icon, hint, danger, disabled, checked, onSelect, children }: MenuItemProps) {
  const className = cx(
    "touch-target flex h-8 cursor-default items-center gap-2 rounded px-2 text-sm outline-none select-none",
    "data-highlighted:bg-hover data-disabled:opacity-45",
    danger ? "text-danger" : "text-text",
  );
  const content = (
    <>
      {checked === undefined ? icon : checked ? <Check size={14} aria-hidden /> : <span className="w-3.5" />}
      <span className="flex-1">{children}</span>
      {hint && <span className="pl-4 text-xs text-muted">{hint}</span>}
    </>
  );
  if (checked !== undefined) {
    return (
      <Radix.CheckboxItem checked={checked} disabled={disabled ?? false} onSelect={onSelect} className={className}>
        {content}
      </Radix.CheckboxItem>
    );
  }
  return (
    <Radix.Item disabled={disabled ?? false} onSelect={onSelect} className={className}>
      {content}
    </Radix.Item>
  );
}

/** A heading inside a menu. */
export function MenuLabel({ children }: { children: ReactNode }) {
  return <Radix.Label className="px-2 pt-1.5 pb-1 text-2xs font-medium text-muted">{children}</Radix.Label>;
}

/** A line between groups of a menu. */
export function MenuSeparator() {
  return <Radix.Separator className="-mx-1 my-1 h-px bg-line" />;
}
