import { ShieldAlert, ShieldCheck } from "lucide-react";
import type { ReactNode } from "react";
import type { Schemas } from "../../../api/types";
import { graph as t } from "../../../texts/track/graph";
import { Badge, cx } from "../../../ui";
import { formatClock } from "../../clock";
import { riskOf } from "../../header/RiskStrip";
import type { Run } from "../reports";
import { Section } from "./Section";

export interface RunPanelProps {
  run: Run | null;
  /** Whose figures these are. */
  source: "tried" | "saved" | "earlier";
  onSelect: (id: string) => void;
  onSeek: (ms: number) => void;
}

const SOURCES = { tried: t.run.tried, saved: t.run.ofSaved, earlier: t.run.ofEarlier } as const;
const TONES = { ok: "text-ok", warn: "text-warn", danger: "text-danger", neutral: "", accent: "" } as const;

/** The figures of a simulation: runtime, frames, current, and whether it flashes too much. */
export function RunPanel({ run, source, onSelect, onSeek }: RunPanelProps) {
  if (run === null) return <Section title={t.run.title}><p className="text-sm text-muted">{t.run.none}</p></Section>;
  const { scale, visual, previewUrl } = run;
  const risk = riskOf({ est_ms: scale.after_ms, cpu_pct: scale.cpu_pct_after });
  return (
    <Section title={t.run.title} note={SOURCES[source]}>
      {previewUrl !== null && (
        <img src={previewUrl} alt={t.run.preview} title={t.run.preview} className={cx("mb-2 h-20 w-full rounded bg-black", source === "earlier" && "opacity-50")} />
      )}
      <dl className="grid grid-cols-[5rem_minmax(0,1fr)] gap-y-1 text-sm">
        <Figure name={t.run.runtime}>
          <span className={cx("font-medium", TONES[risk])}>{t.run.runtimeValue(scale.before_ms.toFixed(2), scale.after_ms.toFixed(2))}</span>
          <span className="text-muted"> · {t.run.cpu(scale.cpu_pct_after.toFixed(0))}</span>
        </Figure>
        <Figure name={t.run.frames}>{t.run.framesValue(scale.frames.toLocaleString("en"), scale.fps, scale.leds)}</Figure>
        <Figure name={t.run.nodes}>{t.run.nodesValue(scale.nodes_before, scale.nodes_after)}</Figure>
        <Figure name={t.run.current}>
          {t.run.currentValue(amperes(visual.current.mean_ma), amperes(visual.current.peak_ma))} <Moment ms={visual.current.peak_at_ms} onSeek={onSeek} />
        </Figure>
        <Figure name={t.run.flashes}>
          {visual.photosensitivity.passed ? (
            <Badge tone="ok" icon={<ShieldCheck size={12} aria-hidden />}>
              {t.run.passed}
            </Badge>
          ) : (
            <Badge tone="danger" icon={<ShieldAlert size={12} aria-hidden />}>
              {t.run.failed}
            </Badge>
          )}
          {[visual.photosensitivity.general, visual.photosensitivity.red].map((finding) => (
            <Finding key={finding.kind} finding={finding} onSelect={onSelect} onSeek={onSeek} />
          ))}
        </Figure>
      </dl>
      {scale.approximations.length > 0 && (
        <details className="mt-2 text-xs text-muted">
          <summary className="touch-target inline-flex items-center">{t.run.approximations}</summary>
          <ul className="list-disc pl-5">
            {scale.approximations.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </details>
      )}
    </Section>
  );
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-xs leading-5 text-muted">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  );
}

interface FindingProps {
  finding: Schemas["FlashFinding"];
  onSelect: (id: string) => void;
  onSeek: (ms: number) => void;
}

function Finding({ finding, onSelect, onSeek }: FindingProps) {
  const { kind, passed, max_flashes_per_second: rate, at_ms: at, node } = finding;
  return (
    <p className={cx("text-xs", passed ? "text-soft" : "text-danger")}>
      {t.run.finding(t.run[kind], String(Math.round(rate * 10) / 10))} {at != null && <Moment ms={at} onSeek={onSeek} />}{" "}
      {node != null && (
        <button type="button" className="text-accent hover:underline" onClick={() => onSelect(node)}>
          {t.run.culprit(node)}
        </button>
      )}
    </p>
  );
}

/** A time of the song; it moves the playhead there. */
function Moment({ ms, onSeek }: { ms: number; onSeek: (ms: number) => void }) {
  const text = formatClock(ms, 1000);
  return (
    <button type="button" className="text-xs text-accent hover:underline" aria-label={t.changes.seek(text)} onClick={() => onSeek(ms)}>
      {text}
    </button>
  );
}

function amperes(milliamperes: number): string {
  return (milliamperes / 1000).toFixed(2);
}
