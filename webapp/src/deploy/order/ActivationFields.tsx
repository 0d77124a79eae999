import { useQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { useTrackTitle } from "../../app/shell/TrackName";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { SelectField, TextField } from "../../ui/Field";
import type { OrderFault, OrderForm } from "./order";
import { deviceList } from "../queries";

const WHENS = ["now", "time", "downbeat"] as const;

export interface ActivationFieldsProps {
  form: OrderForm;
  faults: readonly OrderFault[];
  trackId: string;
  version: number;
  onChange: (changes: Partial<OrderForm>) => void;
}

/** When the devices change: now, at a time, or on the next downbeat of the song that plays. */
export function ActivationFields({ form, faults, trackId, version, onChange }: ActivationFieldsProps) {
  return (
    <>
      <div role="radiogroup" aria-label={t.when} className="inline-flex max-w-full rounded border border-line bg-bg p-0.5">
        {WHENS.map((when) => (
          <label key={when} className={cx("touch-target relative flex h-7 cursor-pointer items-center justify-center rounded px-3 text-sm has-focus-visible:outline-2 has-focus-visible:outline-accent", form.when === when ? "bg-accent-soft font-medium text-accent" : "text-soft hover:text-text")}>
            <input type="radio" name="activation" value={when} checked={form.when === when} onChange={() => onChange({ when })} className="sr-only" />
            {t.activation[when]}
          </label>
        ))}
      </div>
      <p className="mt-1.5 text-xs text-muted">{t.activationHints[form.when]}</p>
      {form.when === "time" && (
        <div className="mt-2 max-w-60">
          <TextField label={t.at} type="datetime-local" step={1} value={form.at} error={form.at && faults.includes("at") ? t.faults.at : undefined} onChange={({ target }) => onChange({ at: target.value })} />
        </div>
      )}
      {form.when === "downbeat" && <PlayingFields form={form} trackId={trackId} version={version} onChange={onChange} />}
    </>
  );
}

/** Which song plays and since when: the device cannot know, so the person at the desk says it. */
function PlayingFields({ form, trackId, version, onChange }: Omit<ActivationFieldsProps, "faults">) {
  const { data: devices = [] } = useQuery(deviceList);
  const songs = new Map([[trackId, version]]);
  for (const { id, running } of devices) if (form.deviceIds.includes(id) && running?.track_id && running.version) songs.set(running.track_id, running.version);
  const chosen = form.playing?.trackId ?? [...songs.keys()].at(-1) ?? trackId;
  const play = (id: string) => onChange({ playing: { trackId: id, version: songs.get(id) ?? version, startedAt: new Date().toISOString() } });
  return (
    <div className="mt-2 flex flex-wrap items-start gap-3">
      <div className="w-full max-w-60">
        <SelectField label={t.playing} value={chosen} onChange={({ target }) => play(target.value)}>
          {[...songs].map(([id, number]) => <SongOption key={id} trackId={id} version={number} />)}
        </SelectField>
      </div>
      <div className="pt-5">
        <Button icon={<Play size={14} aria-hidden />} onClick={() => play(chosen)}>{t.playingNow}</Button>
      </div>
      <p className="self-center pt-4 text-xs text-muted" role="status">
        {form.playing ? t.playingSince(new Date(form.playing.startedAt).toLocaleTimeString()) : t.playingHint}
      </p>
    </div>
  );
}

function SongOption({ trackId, version }: { trackId: string; version: number }) {
  return <option value={trackId}>{`${useTrackTitle(trackId)} v${version}`}</option>;
}
