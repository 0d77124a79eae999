import { useCallback, useEffect, useRef } from "react";
import type { AudioEngine } from "./engine";

export type PlayheadListener = (ms: number) => void;

/** Return a function that subscribes to the playhead: in each frame while the song plays, and after each seek. */
export function usePlayhead(engine: AudioEngine): (listener: PlayheadListener) => () => void {
  const listeners = useRef(new Set<PlayheadListener>());
  useEffect(() => {
    let frame = 0;
    const tick = (): void => {
      const ms = engine.positionMs();
      for (const listener of listeners.current) listener(ms);
      frame = engine.state().playing ? requestAnimationFrame(tick) : 0;
    };
    const wake = (): void => {
      if (frame === 0) frame = requestAnimationFrame(tick);
    };
    const stop = engine.subscribe(wake);
    wake();
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [engine]);
  return useCallback((listener) => {
    listeners.current.add(listener);
    return () => listeners.current.delete(listener);
  }, []);
}
