import { useState } from "react";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { SelectField, TextField } from "../../ui/Field";
import type { OrderFault, OrderForm } from "./order";

export interface StrategyFieldsProps {
  form: OrderForm;
  faults: readonly OrderFault[];
  onChange: (changes: Partial<OrderForm>) => void;
}

/** How the rollout goes: canary, batches, failures, observation, and the drift of the first batch. */
export function StrategyFields({ form, faults, onChange }: StrategyFieldsProps) {
  const faultOf = (field: OrderFault) => (faults.includes(field) ? t.faults[field] : undefined);
  return (
    <div className="grid grid-cols-2 gap-3 md:grid-cols-3">
      <NumberField label={t.canary} hint={t.canaryHint} error={faultOf("canary")} value={form.canary} onValue={(canary) => onChange({ canary: canary ?? Number.NaN })} />
      <NumberField label={t.batch} hint={t.batchHint} error={faultOf("batchSize")} value={form.batchSize} onValue={(batchSize) => onChange({ batchSize })} />
      <NumberField label={t.observe} hint={t.observeHint} error={faultOf("observeSeconds")} value={form.observeSeconds} onValue={(seconds) => onChange({ observeSeconds: seconds ?? Number.NaN })} />
      <div className="grid min-w-0 grid-cols-[1fr_5.5rem] gap-1">
        <NumberField label={t.failures} hint={t.failuresHint} error={faultOf("maxFailures")} value={form.maxFailures} onValue={(maxFailures) => onChange({ maxFailures: maxFailures ?? Number.NaN })} />
        <SelectField label={t.failuresUnit} quiet className="mt-5" value={form.inPercent ? "percent" : "devices"} onChange={({ target }) => onChange({ inPercent: target.value === "percent" })}>
          <option value="devices">{t.inDevices}</option>
          <option value="percent">{t.inPercent}</option>
        </SelectField>
      </div>
      <NumberField label={t.maxDrift} hint={t.maxDriftHint} error={faultOf("maxDriftMs")} value={form.maxDriftMs} onValue={(maxDriftMs) => onChange({ maxDriftMs })} />
      {form.maxDriftMs !== undefined && <NumberField label={t.driftBars} hint={t.driftBarsHint} error={faultOf("driftBars")} value={form.driftBars} onValue={(bars) => onChange({ driftBars: bars ?? Number.NaN })} />}
    </div>
  );
}

interface NumberFieldProps {
  label: string;
  hint: string;
  error: string | undefined;
  value: number | undefined;
  /** Gets undefined where the field is empty. */
  onValue: (value: number | undefined) => void;
}

/** A number that may be half typed: the text stays as it was typed. */
function NumberField({ value, onValue, ...rest }: NumberFieldProps) {
  const [text, setText] = useState(value === undefined || Number.isNaN(value) ? "" : String(value));
  return (
    <TextField
      {...rest}
      inputMode="numeric"
      value={text}
      onChange={({ target }) => {
        setText(target.value);
        onValue(target.value.trim() === "" ? undefined : Number(target.value));
      }}
    />
  );
}
