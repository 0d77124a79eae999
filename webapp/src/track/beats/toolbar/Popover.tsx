import { Popover as Radix } from "radix-ui";
import type { ReactNode } from "react";

/** Opens a small panel beside a button. */
export function Popover({ trigger, label, children }: { trigger: ReactNode; label: string; children: ReactNode }) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          aria-label={label}
          sideOffset={4}
          collisionPadding={8}
          className="fade-in z-50 w-80 max-w-[calc(100vw-1rem)] rounded-md border border-line bg-panel p-3 shadow-float"
        >
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
