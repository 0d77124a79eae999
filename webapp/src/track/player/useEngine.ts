import { useEffect, useState, useSyncExternalStore } from "react";
import { fetchApi } from "../../api/client";
import { AudioEngine, type EngineState } from "./engine";
import { keepSettings, readSettings } from "./settings";

const WAIT_MS = 250;

/** Return the player of a track's song; fetches and decodes it a moment later, so that quick browsing costs nothing. */
export function useEngine(trackId: string): AudioEngine {
  const [engine] = useState(() => new AudioEngine(readSettings()));
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      fetchApi(`/tracks/${trackId}/audio`, { signal: abort.signal })
        .then((response) => response.arrayBuffer())
        .then((file) => (abort.signal.aborted ? undefined : engine.load(file)))
        .catch(() => {
          if (!abort.signal.aborted) engine.fail();
        });
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
      engine.close();
    };
  }, [engine, trackId]);
  useEffect(() => engine.subscribe(() => keepSettings(engine.state())), [engine]);
  return engine;
}

/** Return the state of a player, and render again when it changes. */
export function useEngineState(engine: AudioEngine): EngineState {
  return useSyncExternalStore(engine.subscribe, engine.state);
}
