import { useCallback, useState } from "react";
import { addTap, tapTempo, type TapTempo } from "./model";

export interface Tapping {
  readonly taps: readonly number[];
  readonly tempo: TapTempo | null;
  readonly tap: () => void;
  readonly clear: () => void;
}

/** Collects taps, by the clock of the song while it plays and by that of the page otherwise. */
export function useTap(nowMs: () => number): Tapping {
  const [taps, setTaps] = useState<readonly number[]>([]);
  const tap = useCallback(() => {
    const at = nowMs();
    setTaps((before) => addTap(before, at));
  }, [nowMs]);
  const clear = useCallback(() => setTaps([]), []);
  return { taps, tempo: tapTempo(taps), tap, clear };
}
