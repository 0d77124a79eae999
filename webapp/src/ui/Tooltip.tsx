import { Tooltip as Radix } from "radix-ui";
import type { ReactNode } from "react";

/** Shows a sentence beside an element while the pointer or the focus is on it. The element must take a ref. */
export function Tooltip({ content, children }: { content: ReactNode; children: ReactNode }) {
  return (
    <Radix.Provider delayDuration={350} skipDelayDuration={150}>
      <Radix.Root>
        <Radix.Trigger asChild>{children}</Radix.Trigger>
        <Radix.Portal>
          <Radix.Content
            sideOffset={6}
            collisionPadding={8}
            className="fade-in z-50 max-w-72 rounded border border-line bg-raised px-2 py-1 text-xs text-text shadow-float"
          >
            {content}
          </Radix.Content>
        </Radix.Portal>
      </Radix.Root>
    </Radix.Provider>
  );
}
