import type { Schemas } from "../../api/types";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { ActivationFields } from "./ActivationFields";
import { batchSizes, type OrderFault, type OrderForm } from "./order";
import { Section } from "../Section";
import { StrategyFields } from "./StrategyFields";
import { TargetPicker } from "./TargetPicker";

export interface OrderFieldsProps {
  form: OrderForm;
  faults: readonly OrderFault[];
  compatibility: readonly Schemas["Compatibility"][];
  trackId: string;
  version: number;
  onChange: (changes: Partial<OrderForm>) => void;
}

/** The choices of a deployment: where, how and when. */
export function OrderFields({ form, faults, compatibility, trackId, version, onChange }: OrderFieldsProps) {
  const sizes = batchSizes(form.deviceIds.length, form.canary, form.batchSize);
  return (
    <>
      <TargetPicker chosen={form.deviceIds} canary={form.canary} compatibility={compatibility} onChange={(deviceIds) => onChange({ deviceIds })} />
      <Section title={t.how} aside={<span className="text-xs text-muted">{faults.length === 0 && t.rollout(sizes, form.observeSeconds)}</span>}>
        <StrategyFields form={form} faults={faults} onChange={onChange} />
      </Section>
      <Section title={t.when}>
        <ActivationFields form={form} faults={faults} trackId={trackId} version={version} onChange={onChange} />
      </Section>
    </>
  );
}
