import { Eye, EyeOff, ShieldCheck, TriangleAlert } from "lucide-react";
import { useEffect, useRef, useState, type CSSProperties } from "react";
import { track as trackTexts } from "../../texts/track/track";
import { Badge, Button, IconButton } from "../../ui";
import { formatClock } from "../clock";
import type { AudioEngine } from "./engine";
import { drawFrame, frameAt, type Show } from "./preview";
import { recordFrame } from "./probe";
import type { PlayheadListener } from "./usePlayhead";
import { useShow, type FlashCheck } from "./useShow";

const t = trackTexts.strip;
/** A frame is seen about one refresh of the screen after it is drawn, so the one of that moment is drawn. */
const LEAD_MS = 10;
const REDUCED = "(prefers-reduced-motion: reduce)";

export interface StripPreviewProps {
  trackId: string;
  version: number;
  engine: AudioEngine;
  onPlayhead: (listener: PlayheadListener) => () => void;
}

/** The strip as the devices will show it, in time with the sound. It starts paused where it could harm someone. */
export function StripPreview({ trackId, version, engine, onPlayhead }: StripPreviewProps) {
  const { show, status, check } = useShow(trackId, version);
  const [chosen, setChosen] = useState<boolean | null>(null);
  const isRisky = check?.passed === false;
  const isRunning = chosen ?? (!isRisky && !matchMedia(REDUCED).matches);

  return (
    <section aria-label={t.region} className="flex items-center gap-2 border-t border-line bg-bg px-2 py-1.5">
      <IconButton size="sm" label={isRunning ? t.hide : t.show} active={isRunning} onClick={() => setChosen(!isRunning)} disabled={show === null}>
        {isRunning ? <Eye size={15} aria-hidden /> : <EyeOff size={15} aria-hidden />}
      </IconButton>
      <div className="relative min-w-0 flex-1">
        {show !== null && isRunning ? (
          <Strip show={show} engine={engine} onPlayhead={onPlayhead} />
        ) : (
          <div className="flex min-h-8 items-center gap-3 rounded border border-line bg-panel px-3 py-1 text-xs text-muted">
            {show !== null && isRisky && <RiskWarning check={check} onShow={() => setChosen(true)} />}
            {show !== null && !isRisky && <span>{matchMedia(REDUCED).matches ? t.reduced : t.show}</span>}
            {status === "missing" && t.missing}
            {status === "failed" && <span role="alert">{t.failed}</span>}
            {status === "loading" && <span className="skeleton h-3 w-full rounded" />}
          </div>
        )}
      </div>
      {show !== null && <CheckBadge check={check} />}
    </section>
  );
}

function RiskWarning({ check, onShow }: { check: FlashCheck; onShow: () => void }) {
  return (
    <>
      <TriangleAlert size={16} className="shrink-0 text-warn" aria-hidden />
      <p role="alert" className="flex-1 text-warn">
        {t.warning(check.firstMs === null ? "" : formatClock(check.firstMs, 1000))}
      </p>
      <Button size="sm" onClick={onShow}>
        {t.showAnyway}
      </Button>
    </>
  );
}

function CheckBadge({ check }: { check: FlashCheck | null }) {
  if (check === null) return <Badge title={t.notChecked}>{t.notChecked}</Badge>;
  if (check.passed) {
    return (
      <Badge tone="ok" icon={<ShieldCheck size={12} aria-hidden />} className="max-md:hidden">
        {t.passed}
      </Badge>
    );
  }
  const second = check.firstMs === null ? "" : formatClock(check.firstMs, 1000);
  return (
    <Badge tone="warn" title={t.warning(second)} icon={<TriangleAlert size={12} aria-hidden />}>
      {second || t.region}
    </Badge>
  );
}

/** Draws the frame of the song time that is heard, one pixel for each LED, and lets CSS make it large. */
function Strip({ show, engine, onPlayhead }: { show: Show; engine: AudioEngine; onPlayhead: StripPreviewProps["onPlayhead"] }) {
  const strip = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = strip.current?.getContext("2d");
    if (!context) return undefined;
    const image = new ImageData(show.leds, 1);
    let drawn = -1;
    const draw = (ms: number): void => {
      const frame = frameAt(show, ms + LEAD_MS);
      recordFrame((1000 * frame) / show.fps, engine.positionMs());
      if (frame === drawn) return;
      drawn = frame;
      drawFrame(show, frame, image.data);
      context.putImageData(image, 0, 0);
    };
    draw(engine.positionMs());
    return onPlayhead(draw);
  }, [show, engine, onPlayhead]);
  return (
    <div className="relative h-8 overflow-hidden rounded bg-black">
      <canvas
        ref={strip}
        width={show.leds}
        height={1}
        role="img"
        aria-label={t.label}
        className="h-full w-full [image-rendering:pixelated]"
      />
      <div aria-hidden="true" className="pointer-events-none absolute inset-0" style={gapsOf(show.leds)} />
    </div>
  );
}

/** Return the dark gaps between the LEDs. */
function gapsOf(leds: number): CSSProperties {
  return { backgroundImage: "linear-gradient(to right, transparent 72%, #000c 72%)", backgroundSize: `${100 / leds}% 100%` };
}
