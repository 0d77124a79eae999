import { Gauge } from "lucide-react";
import { useState, type FormEvent } from "react";
import { track as trackTexts } from "../../../texts/track/track";
import { Button, TextField } from "../../../ui";
import { MAX_BPM, MIN_BPM } from "../model";
import type { Tapping } from "../useTap";
import { Popover } from "./Popover";

const t = trackTexts.editor;

export interface TempoPanelProps {
  /** The tempo of the beats at hand. */
  bpm: number | null;
  tapping: Tapping;
  /** What the tempo is laid on, for instance "From here". */
  scope: string;
  disabled: boolean;
  onApply: (bpm: number) => void;
}

/** Lays beats at a tempo that is typed or tapped. */
export function TempoPanel({ bpm, tapping, scope, disabled, onApply }: TempoPanelProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const tapped = tapping.tempo?.bpm;
  const shown = typed ?? (tapped ?? bpm ?? 120).toFixed(2);
  const value = Number(shown.replace(",", "."));
  const isValid = value >= MIN_BPM && value <= MAX_BPM;

  const apply = (event: FormEvent): void => {
    event.preventDefault();
    if (!isValid) return;
    onApply(value);
    setTyped(null);
    tapping.clear();
  };
  const tap = (): void => {
    setTyped(null);
    tapping.tap();
  };

  return (
    <Popover
      label={t.tempoMenu}
      trigger={
        <Button size="sm" tone="ghost" disabled={disabled} icon={<Gauge size={14} aria-hidden />}>
          {t.tempoMenu}
        </Button>
      }
    >
      <form onSubmit={apply} className="flex flex-col gap-3">
        <div className="flex items-end gap-2">
          <div className="min-w-0 flex-1">
            <TextField
              label={t.tempo}
              value={shown}
              inputMode="decimal"
              error={isValid ? undefined : trackTexts.problems.bad_tempo}
              onChange={(event) => setTyped(event.target.value)}
            />
          </div>
          <Button onPointerDown={tap} onKeyDown={(event) => (event.key === "Enter" || event.key === " ") && tap()} className="w-20">
            {t.tap}
          </Button>
        </div>
        <p className="text-xs text-muted">{t.tapHint(tapping.taps.length)}</p>
        <Button tone="primary" type="submit" disabled={!isValid}>
          {t.applyTempo} · {scope}
        </Button>
      </form>
    </Popover>
  );
}
