type Listener = () => void;

const listeners = new Set<Listener>();

/** Opens the choice of files to upload, from anywhere in the page. */
export function openUpload(): void {
  for (const listener of listeners) listener();
}

/** Calls the listener when somebody wants to upload; returns how to stop it. */
export function onOpenUpload(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
