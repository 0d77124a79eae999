/** Relates the time of a song to the clock of the audio output. Pure. Times in seconds, song times in ms. */

export interface Loop {
  readonly startMs: number;
  readonly endMs: number;
}

/** A playback that began at a moment of the audio clock. */
export interface Playback {
  /** When, by the audio clock, the song was at `startMs`. */
  readonly startedAt: number;
  readonly startMs: number;
  /** 0.5 is half speed. */
  readonly rate: number;
  readonly loop: Loop | null;
}

/** Return the song time that plays at a moment of the audio clock. */
export function songTimeAt(playback: Playback, clock: number): number {
  return foldLoop(playback, unfoldedAt(playback, clock));
}

/** Return the song time as if there were no loop: it goes on rising. */
export function unfoldedAt({ startMs, startedAt, rate }: Playback, clock: number): number {
  return startMs + 1000 * rate * Math.max(0, clock - startedAt);
}

/** Return the moment of the audio clock at which an unfolded song time plays. */
export function clockAt({ startMs, startedAt, rate }: Playback, unfoldedMs: number): number {
  return startedAt + (unfoldedMs - startMs) / (1000 * rate);
}

/** Return the beats that play in a part of the unfolded time, with the unfolded time of each. */
export function beatsDuring<Beat extends { readonly ms: number }>(
  playback: Playback,
  beats: readonly Beat[],
  fromMs: number,
  toMs: number,
): { readonly beat: Beat; readonly unfoldedMs: number }[] {
  const found: { beat: Beat; unfoldedMs: number }[] = [];
  let at = fromMs;
  while (at < toMs) {
    const song = foldLoop(playback, at);
    const end = loopsFrom(playback, song) ? Math.min(toMs, at + playback.loop.endMs - song) : toMs;
    const until = song + (end - at);
    for (const beat of beats) if (beat.ms >= song && beat.ms < until) found.push({ beat, unfoldedMs: at + beat.ms - song });
    at = end;
  }
  return found;
}

function foldLoop(playback: Playback, unfoldedMs: number): number {
  const { loop, startMs } = playback;
  if (loop === null || startMs >= loop.endMs || unfoldedMs < loop.endMs) return unfoldedMs;
  return loop.startMs + ((unfoldedMs - loop.endMs) % (loop.endMs - loop.startMs));
}

function loopsFrom(playback: Playback, song: number): playback is Playback & { readonly loop: Loop } {
  return playback.loop !== null && song < playback.loop.endMs && playback.startMs < playback.loop.endMs;
}
