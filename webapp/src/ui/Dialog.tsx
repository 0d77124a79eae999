import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { texts } from "../texts";
import { IconButton } from "./Button";
import { cx } from "./cx";

export interface DialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: string;
  /** Buttons at the bottom right. */
  footer?: ReactNode;
  wide?: boolean;
  children?: ReactNode;
}

/** As high as the dialogs: a dialog over another one dims that too, since it comes later in the page. */
const SCRIM = "fade-in fixed inset-0 z-50 bg-scrim";

/** A modal dialog in the middle of the page. */
export function Dialog({ wide, ...rest }: DialogProps) {
  const className = cx(
    "top-1/2 left-1/2 max-h-[calc(100dvh-2rem)] w-[calc(100vw-2rem)] -translate-x-1/2 -translate-y-1/2 rounded-lg border",
    wide ? "max-w-3xl" : "max-w-md",
  );
  return <Modal {...rest} className={className} />;
}

export interface SheetProps extends DialogProps {
  side?: "right" | "bottom";
}

/** A panel that slides over the page from the right, or from below. */
export function Sheet({ wide, side = "right", ...rest }: SheetProps) {
  const className = side === "right" ? cx("inset-y-0 right-0 w-full border-l", wide ? "max-w-3xl" : "max-w-xl") : "inset-x-0 bottom-0 max-h-[80dvh] rounded-t-lg border-t";
  return <Modal {...rest} className={className} />;
}

interface ModalProps extends Omit<DialogProps, "wide"> {
  /** Where it lies, and how large it is. */
  className: string;
}

function Modal({ open, onOpenChange, title, description, footer, className, children }: ModalProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className={SCRIM} />
        <Radix.Content
          {...(description ? {} : { "aria-describedby": undefined })}
          className={cx("fade-in fixed z-50 flex flex-col border-line bg-panel shadow-float", className)}
        >
          <Header title={title} description={description} />
          <div className="min-h-0 flex-1 overflow-auto px-4 pb-4">{children}</div>
          {footer && <div className="flex flex-wrap justify-end gap-2 border-t border-line px-4 py-3">{footer}</div>}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

function Header({ title, description }: { title: string; description: string | undefined }) {
  return (
    <div className="flex items-start gap-3 py-3 pr-2 pl-4">
      <div className="min-w-0 flex-1 pt-1">
        <Radix.Title className="text-lg font-semibold">{title}</Radix.Title>
        {description && <Radix.Description className="mt-0.5 text-sm text-muted">{description}</Radix.Description>}
      </div>
      <Radix.Close asChild>
        <IconButton label={texts.common.close}>
          <X size={16} />
        </IconButton>
      </Radix.Close>
    </div>
  );
}
