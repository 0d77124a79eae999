import { common } from "../texts/common";
import { Button } from "./Button";
import { Dialog } from "./Dialog";

export interface ConfirmDialogProps {
  title: string;
  text: string;
  /** The name of what happens, on the button. */
  confirm: string;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before something that cannot be undone. */
export function ConfirmDialog({ title, text, confirm, onConfirm, onClose }: ConfirmDialogProps) {
  const run = () => {
    onClose();
    onConfirm();
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={title}
      description={text}
      footer={<><Button onClick={onClose}>{common.cancel}</Button><Button tone="danger" onClick={run}>{confirm}</Button></>}
    />
  );
}
