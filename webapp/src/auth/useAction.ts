import { useState } from "react";
import { describeError } from "../api/errors";

export interface Action {
  busy: boolean;
  /** What went wrong, as a sentence. */
  error: string | undefined;
  /** Runs something that may fail; a run in progress is not disturbed. */
  run: (action: () => Promise<void>) => void;
}

/** Runs the action of a form: busy while it runs, with the error where it failed. */
export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const run = (action: () => Promise<void>) => {
    if (busy) return;
    setBusy(true);
    setError(undefined);
    action()
      .catch((failure: unknown) => setError(describeError(failure).detail))
      .finally(() => setBusy(false));
  };
  return { busy, error, run };
}
