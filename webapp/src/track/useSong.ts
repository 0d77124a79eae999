import { useEffect, useMemo } from "react";
import { createTimeline, type Timeline } from "./beats/canvas/timeline";
import { keepPlace, readPlace } from "./place";
import type { AudioEngine } from "./player/engine";
import { useEngine } from "./player/useEngine";
import { usePlayhead, type PlayheadListener } from "./player/usePlayhead";

/** What all tabs of a track share: the player, its playhead and the visible part of the song. */
export interface Song {
  readonly engine: AudioEngine;
  readonly onPlayhead: (listener: PlayheadListener) => () => void;
  readonly timeline: Timeline;
}

/** Return the song of a track at the place where this tab left it. */
export function useSong(trackId: string, durationMs: number): Song {
  const engine = useEngine(trackId);
  const onPlayhead = usePlayhead(engine);
  const place = useMemo(() => readPlace(trackId), [trackId]);
  const timeline = useMemo(() => createTimeline(durationMs, place), [durationMs, place]);
  useEffect(() => {
    if (place) engine.seek(place.positionMs);
  }, [engine, place]);
  useEffect(() => {
    if (durationMs === 0) return undefined;
    const keep = (): void =>
      keepPlace(trackId, {
        view: timeline.view.get(),
        positionMs: engine.positionMs(),
        gain: timeline.gain.get(),
        following: timeline.following.get(),
      });
    addEventListener("pagehide", keep);
    return () => {
      removeEventListener("pagehide", keep);
      keep();
    };
  }, [trackId, durationMs, timeline, engine]);
  return useMemo(() => ({ engine, onPlayhead, timeline }), [engine, onPlayhead, timeline]);
}
