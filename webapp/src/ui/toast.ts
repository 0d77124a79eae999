import { describeError } from "../api/errors";
import { texts } from "../texts";

export interface ToastOptions {
  description?: string;
  /** A button in the toast, such as Undo. */
  action?: { label: string; onClick: () => void };
  duration_ms?: number;
}

// The library is fetched when the first toast is shown: the entry of the page stays small.
const library = () => import("./Toaster");

function show(kind: "success" | "error" | "message", title: string, options: ToastOptions): void {
  void library().then(({ toast }) => {
    toast[kind](title, {
      ...(options.description ? { description: options.description } : {}),
      ...(options.action ? { action: options.action } : {}),
      ...(options.duration_ms ? { duration: options.duration_ms } : {}),
    });
  });
}

/** Tells that something was done. */
export function toastDone(title: string, options: ToastOptions = {}): void {
  show("success", title, options);
}

/** Tells something neutral, for example that something was deleted, with Undo as its action. */
export function toastMessage(title: string, options: ToastOptions = {}): void {
  show("message", title, options);
}

/** Tells that something failed, why, and what to do. */
export function toastError(error: unknown, title?: string): void {
  const { title: kind, detail } = describeError(error);
  show("error", title ?? kind, { description: detail, duration_ms: 8000 });
}

/** Tells that something was deleted, with an Undo button for 30 seconds. */
export function toastUndo(title: string, undo: () => void): void {
  show("message", title, { action: { label: texts.common.undo, onClick: undo }, duration_ms: 30_000 });
}
