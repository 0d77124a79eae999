import { Metronome, Pause, Play, Repeat, SkipBack, SkipForward, Volume2, type LucideIcon } from "lucide-react";
import { useEffect, useRef } from "react";
import { track as trackTexts } from "../../texts/track/track";
import { cx, IconButton, Spinner } from "../../ui";
import { formatClock } from "../clock";
import type { AudioEngine } from "./engine";
import { useEngineState } from "./useEngine";
import type { PlayheadListener } from "./usePlayhead";

const t = trackTexts.player;
const MAX_OFFSET_MS = 400;

export interface TransportProps {
  engine: AudioEngine;
  durationMs: number;
  onPlayhead: (listener: PlayheadListener) => () => void;
  /** Returns bar and tempo at a time, as texts. */
  describe: (ms: number) => { readonly place: string; readonly bpm: string };
  onSection: (by: 1 | -1) => void;
  onLoop: () => void;
}

/** Play, section jumps, loop, speed, metronome, volume and offset. */
export function Transport({ engine, durationMs, onPlayhead, describe, onSection, onLoop }: TransportProps) {
  const state = useEngineState(engine);
  const isReady = state.status === "ready";
  return (
    <div role="group" aria-label={t.region} className="flex min-h-12 flex-wrap items-center gap-x-2 gap-y-1 px-2 py-1.5 max-md:gap-x-1">
      <IconButton label={t.previousSection} onClick={() => onSection(-1)} disabled={!isReady}>
        <SkipBack size={16} aria-hidden />
      </IconButton>
      <button
        type="button"
        aria-label={state.playing ? t.pause : t.play}
        title={`${state.playing ? t.pause : t.play} (Space)`}
        disabled={!isReady}
        onClick={() => engine.toggle()}
        className="touch-target flex size-9 shrink-0 items-center justify-center rounded-full bg-accent-solid text-on-accent hover:brightness-110 disabled:opacity-45"
      >
        {state.status === "loading" ? <Spinner /> : state.playing ? <Pause size={17} aria-hidden /> : <Play size={17} aria-hidden className="ml-0.5" />}
      </button>
      <IconButton label={t.nextSection} onClick={() => onSection(1)} disabled={!isReady}>
        <SkipForward size={16} aria-hidden />
      </IconButton>
      <IconButton label={t.loop} active={state.loop !== null} onClick={onLoop} disabled={!isReady}>
        <Repeat size={15} aria-hidden />
      </IconButton>
      <button
        type="button"
        title={t.halfSpeed}
        aria-label={t.halfSpeed}
        aria-pressed={state.rate !== 1}
        disabled={!isReady}
        onClick={() => engine.setRate(state.rate === 1 ? 0.5 : 1)}
        className={cx("touch-target h-8 rounded px-2 text-xs font-semibold", state.rate === 1 ? "text-soft hover:bg-hover" : "bg-accent-soft text-accent")}
      >
        ½×
      </button>
      <Readout engine={engine} durationMs={durationMs} onPlayhead={onPlayhead} describe={describe} />
      {state.status === "failed" && <p role="alert" className="text-xs text-danger">{t.failed}</p>}
      {state.status === "loading" && <p role="status" className="text-xs text-muted max-md:sr-only">{t.loading}</p>}
      <div className="min-w-2 flex-1 max-md:hidden" />
      <Slider icon={Metronome} label={t.metronome} value={state.clickVolume} max={1} step={0.05} onChange={(value) => engine.setClickVolume(value)} />
      <Slider icon={Volume2} label={t.volume} value={state.volume} max={1} step={0.05} onChange={(value) => engine.setVolume(value)} />
      <label className="flex items-center gap-1.5 text-xs text-muted" title={t.offsetHint}>
        {t.offset}
        <input
          type="range"
          min={-MAX_OFFSET_MS}
          max={MAX_OFFSET_MS}
          step={5}
          value={state.offsetMs}
          onChange={(event) => engine.setOffset(Number(event.target.value))}
          onDoubleClick={() => engine.setOffset(0)}
          className="h-1 w-20 accent-(--k1-accent-solid)"
        />
        <output className="w-14 text-right text-soft">{t.offsetValue(state.offsetMs)}</output>
      </label>
    </div>
  );
}

interface SliderProps {
  icon: LucideIcon;
  label: string;
  value: number;
  max: number;
  step: number;
  onChange: (value: number) => void;
}

function Slider({ icon: Icon, label, value, max, step, onChange }: SliderProps) {
  return (
    <label className={cx("flex items-center gap-1.5", value > 0 ? "text-soft" : "text-muted")} title={label}>
      <Icon size={15} aria-hidden />
      <span className="sr-only">{label}</span>
      <input
        type="range"
        min={0}
        max={max}
        step={step}
        value={value}
        onChange={(event) => onChange(Number(event.target.value))}
        className="h-1 w-16 accent-(--k1-accent-solid)"
      />
    </label>
  );
}

/** Time, bar and tempo at the playhead. The texts change in each frame, so they are written without React. */
function Readout({ durationMs, onPlayhead, describe, engine }: Pick<TransportProps, "engine" | "durationMs" | "onPlayhead" | "describe">) {
  const time = useRef<HTMLSpanElement>(null);
  const place = useRef<HTMLSpanElement>(null);
  const tempo = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const show = (ms: number): void => {
      const { place: bar, bpm } = describe(ms);
      if (time.current) time.current.textContent = formatClock(ms, 10);
      if (place.current) place.current.textContent = bar;
      if (tempo.current) tempo.current.textContent = bpm;
    };
    show(engine.positionMs());
    return onPlayhead(show);
  }, [engine, onPlayhead, describe]);
  return (
    <div className="flex items-baseline gap-3 px-2 max-md:ml-auto max-md:px-0" aria-label={t.position} role="group">
      <span className="text-lg font-semibold">
        <span ref={time} className="inline-block min-w-18" />
      </span>
      <span className="text-xs text-muted max-md:hidden">/ {formatClock(durationMs, 1000)}</span>
      <span className="text-sm text-soft max-md:hidden">
        <span ref={place} className="inline-block min-w-12" />
      </span>
      <span className="text-sm text-soft max-md:hidden">
        <span ref={tempo} className="inline-block min-w-20" />
      </span>
    </div>
  );
}
