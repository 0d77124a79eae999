/** Schedules the clicks of the beats ahead by the audio clock, so that no timer of the page can delay one. */
import { beatsDuring, clockAt, unfoldedAt, type Playback } from "./transport";

/** A beat that the metronome plays. */
export interface Click {
  readonly ms: number;
  readonly downbeat: boolean;
}

const AHEAD_S = 0.25;
const WAKE_MS = 60;
const CLICK_S = 0.045;

/** Clicks while a playback runs. Beats that are edited meanwhile take effect at once. */
export class Metronome {
  readonly #context: AudioContext;
  readonly #gain: GainNode;
  #clicks: readonly Click[] = [];
  #playback: Playback | null = null;
  /** Up to where, in unfolded song time, clicks are scheduled. */
  #scheduledMs = 0;
  #pending = new Map<OscillatorNode, number>();
  #timer = 0;

  constructor(context: AudioContext) {
    this.#context = context;
    this.#gain = new GainNode(context, { gain: 0 });
    this.#gain.connect(context.destination);
  }

  setVolume(volume: number): void {
    this.#gain.gain.setTargetAtTime(volume, this.#context.currentTime, 0.01);
  }

  setClicks(clicks: readonly Click[]): void {
    this.#clicks = clicks;
    if (this.#playback === null) return;
    this.#cancelPending();
    this.#scheduledMs = unfoldedAt(this.#playback, this.#context.currentTime);
    this.#schedule();
  }

  start(playback: Playback): void {
    this.stop();
    this.#playback = playback;
    this.#scheduledMs = playback.startMs;
    this.#schedule();
    this.#timer = window.setInterval(() => this.#schedule(), WAKE_MS);
  }

  stop(): void {
    window.clearInterval(this.#timer);
    this.#playback = null;
    this.#cancelPending();
  }

  #schedule(): void {
    const playback = this.#playback;
    if (playback === null) return;
    const until = unfoldedAt(playback, this.#context.currentTime + AHEAD_S);
    // After a pause of the page's timers only what is still to come is played.
    const from = Math.max(this.#scheduledMs, unfoldedAt(playback, this.#context.currentTime));
    for (const { beat, unfoldedMs } of beatsDuring(playback, this.#clicks, from, until)) {
      this.#click(clockAt(playback, unfoldedMs), beat.downbeat);
    }
    this.#scheduledMs = Math.max(until, this.#scheduledMs);
  }

  #click(at: number, downbeat: boolean): void {
    const tone = new OscillatorNode(this.#context, { type: "triangle", frequency: downbeat ? 1760 : 1175 });
    const envelope = new GainNode(this.#context, { gain: 0 });
    envelope.gain.setValueAtTime(downbeat ? 1 : 0.7, at);
    envelope.gain.exponentialRampToValueAtTime(0.001, at + CLICK_S);
    tone.connect(envelope).connect(this.#gain);
    tone.start(at);
    tone.stop(at + CLICK_S);
    tone.onended = () => {
      this.#pending.delete(tone);
      envelope.disconnect();
    };
    this.#pending.set(tone, at);
  }

  /** Cancel the clicks that have not begun. */
  #cancelPending(): void {
    const now = this.#context.currentTime;
    for (const [tone, at] of this.#pending) {
      if (at <= now) continue;
      tone.onended = null;
      tone.disconnect();
      this.#pending.delete(tone);
    }
  }
}
