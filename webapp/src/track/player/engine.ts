/** Plays a decoded song and a metronome by the clock of the audio output. The only module that touches Web Audio. */
import { Metronome, type Click } from "./metronome";
import type { PlayerSettings } from "./settings";
import { songTimeAt, type Loop, type Playback } from "./transport";

export interface EngineState extends PlayerSettings {
  readonly status: "loading" | "ready" | "failed";
  readonly playing: boolean;
  readonly rate: number;
  readonly loop: Loop | null;
}

const DECODING_RATE = 44_100;
const START_DELAY_S = 0.02;
const FADE_S = 0.008;

/** One song, its playback and its metronome. */
export class AudioEngine {
  #state: EngineState = {
    status: "loading",
    playing: false,
    rate: 1,
    loop: null,
    volume: 0.9,
    clickVolume: 0,
    offsetMs: 0,
  };
  #context: AudioContext | null = null;
  #buffer: AudioBuffer | null = null;
  #music: GainNode | null = null;
  #metronome: Metronome | null = null;
  #source: AudioBufferSourceNode | null = null;
  #playback: Playback | null = null;
  #restMs = 0;
  #clicks: readonly Click[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(settings: Partial<PlayerSettings> = {}) {
    this.#state = { ...this.#state, ...settings };
  }

  /** Return the state; a new object after each change. */
  readonly state = (): EngineState => this.#state;

  /** Call a function after each change of the state; return how to stop. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Decode a file. The audio device is opened at the first play only, as browsers demand a gesture for it. */
  async load(file: ArrayBuffer): Promise<void> {
    try {
      this.#buffer = await new OfflineAudioContext(1, 1, DECODING_RATE).decodeAudioData(file);
    } catch {
      this.fail();
      return;
    }
    this.#change({ status: "ready" });
  }

  /** Report that the song could not be fetched. */
  fail(): void {
    this.#change({ status: "failed" });
  }

  get durationMs(): number {
    return 1000 * (this.#buffer?.duration ?? 0);
  }

  get sampleRate(): number {
    return this.#buffer?.sampleRate ?? 0;
  }

  /** Return the decoded samples of each channel; none before the song is ready. */
  channels(): readonly Float32Array[] {
    const buffer = this.#buffer;
    if (buffer === null) return [];
    return Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  }

  /** Return the moment of the audio clock that is heard now. */
  heardClock(): number {
    const context = this.#context;
    if (context === null) return 0;
    const { contextTime = 0, performanceTime = 0 } = context.getOutputTimestamp();
    // Some systems report no timestamp until the first block has been played.
    if (performanceTime === 0) return context.currentTime - context.outputLatency;
    return contextTime + (performance.now() - performanceTime) / 1000;
  }

  /** Return the song time that is heard now. */
  readonly positionMs = (): number => {
    if (this.#playback === null) return this.#restMs;
    const heard = songTimeAt(this.#playback, this.heardClock() - this.#state.offsetMs / 1000);
    return Math.min(heard, this.durationMs);
  };

  async play(): Promise<void> {
    if (this.#buffer === null || this.#state.playing) return;
    const context = this.#context ?? this.#open();
    if (this.#restMs >= this.durationMs - 1) this.#restMs = this.#state.loop?.startMs ?? 0;
    this.#change({ playing: true });
    await context.resume();
    if (this.#state.playing && this.#source === null) this.#start(this.#restMs);
  }

  pause(): void {
    if (!this.#state.playing) return;
    this.#restMs = this.positionMs();
    this.#stop();
    this.#change({ playing: false });
  }

  toggle(): void {
    if (this.#state.playing) this.pause();
    else void this.play();
  }

  seek(ms: number): void {
    this.#restMs = Math.min(Math.max(ms, 0), this.durationMs || ms);
    this.#restart(this.#restMs);
    this.#notify();
  }

  setRate(rate: number): void {
    const at = this.positionMs();
    this.#change({ rate });
    this.#restart(at);
  }

  /** Play a part again and again; null plays on. */
  setLoop(loop: Loop | null): void {
    const at = this.positionMs();
    this.#change({ loop });
    this.#restart(loop !== null && (at < loop.startMs || at >= loop.endMs) ? loop.startMs : at);
  }

  setVolume(volume: number): void {
    this.#change({ volume });
    this.#music?.gain.setTargetAtTime(volume, this.#context?.currentTime ?? 0, FADE_S);
  }

  setClickVolume(clickVolume: number): void {
    this.#change({ clickVolume });
    this.#metronome?.setVolume(clickVolume);
  }

  setOffset(offsetMs: number): void {
    this.#change({ offsetMs });
  }

  /** Take the beats on which the metronome clicks. */
  setClicks(clicks: readonly Click[]): void {
    this.#clicks = clicks;
    this.#metronome?.setClicks(clicks);
  }

  /** Free the audio device and the memory of the song. */
  close(): void {
    this.pause();
    void this.#context?.close();
    this.#context = null;
    this.#buffer = null;
    this.#change({ status: "loading" });
  }

  #open(): AudioContext {
    const context = new AudioContext({ latencyHint: "interactive" });
    this.#context = context;
    this.#music = new GainNode(context, { gain: this.#state.volume });
    this.#music.connect(context.destination);
    this.#metronome = new Metronome(context);
    this.#metronome.setVolume(this.#state.clickVolume);
    this.#metronome.setClicks(this.#clicks);
    return context;
  }

  #restart(ms: number): void {
    this.#restMs = ms;
    if (!this.#state.playing || this.#source === null) return;
    this.#stop();
    this.#start(ms);
  }

  #start(ms: number): void {
    const context = this.#context;
    if (context === null || this.#music === null) return;
    const { rate, loop } = this.#state;
    const source = new AudioBufferSourceNode(context, { buffer: this.#buffer, playbackRate: rate });
    const isInLoop = loop !== null && ms < loop.endMs;
    if (isInLoop) {
      source.loop = true;
      source.loopStart = loop.startMs / 1000;
      source.loopEnd = loop.endMs / 1000;
    }
    const startedAt = context.currentTime + START_DELAY_S;
    source.connect(this.#music);
    source.start(startedAt, ms / 1000);
    source.onended = () => {
      if (this.#source !== source) return;
      this.#restMs = this.durationMs;
      this.#stop();
      this.#change({ playing: false });
    };
    this.#source = source;
    this.#playback = { startedAt, startMs: ms, rate, loop: isInLoop ? loop : null };
    this.#metronome?.start(this.#playback);
  }

  #stop(): void {
    const source = this.#source;
    this.#source = null;
    this.#playback = null;
    this.#metronome?.stop();
    if (source === null) return;
    source.onended = null;
    source.stop();
    source.disconnect();
  }

  #change(change: Partial<EngineState>): void {
    this.#state = { ...this.#state, ...change };
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
