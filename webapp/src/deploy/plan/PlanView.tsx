import { Check, CircleAlert, ShieldCheck } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "../../api/types";
import { common } from "../../texts/common";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Dialog } from "../../ui/Dialog";
import { TextArea } from "../../ui/Field";
import { Spinner } from "../../ui/Spinner";
import { ErrorState, Skeleton } from "../../ui/states";
import { LEAST_REASON, withOverride, type OrderForm } from "../order/order";
import { blockedDevices, gateRows, impactOf, type GateRow } from "./plan";
import { Section } from "../Section";
import type { PlanState } from "./usePlan";

export interface PlanViewProps {
  plan: PlanState;
  overrides: OrderForm["overrides"];
  onOverrides: (overrides: OrderForm["overrides"]) => void;
}

/** What a deployment would do: every gate with its reason, the batches and the steps. */
export function PlanView({ plan, overrides, onOverrides }: PlanViewProps) {
  const { data, error } = plan;
  return (
    <Section title={t.dryRun} aside={<Verdict plan={plan} />}>
      {error !== null && !data && <ErrorState error={error} onRetry={plan.again} className="py-4" />}
      {!data && error === null && <Skeleton className="h-40 w-full" />}
      {data && (
        <div className={cx("transition-opacity", !plan.isCurrent && "opacity-60")}>
          <ul className="divide-y divide-line rounded border border-line">
            {gateRows(data).map((row) => <GateLine key={row.key} row={row} overrides={overrides} onOverrides={onOverrides} />)}
          </ul>
          <PlanFacts plan={data} />
        </div>
      )}
    </Section>
  );
}

function Verdict({ plan: { data, isFetching } }: { plan: PlanState }) {
  return (
    <span role="status" className="flex items-center gap-2 text-xs text-muted">
      {isFetching && <><Spinner /> {t.checking}</>}
      {!isFetching && data && (data.would_start ? (
        <span className="font-medium text-ok">{t.wouldStart(data.batches.flat().length, data.batches.length)}</span>
      ) : (
        <span className="font-medium text-danger">{t.wouldNotStart}</span>
      ))}
    </span>
  );
}

const MARKS = {
  passed: <Check size={14} className="text-ok" aria-hidden />,
  overridden: <ShieldCheck size={14} className="text-warn" aria-hidden />,
  failed: <CircleAlert size={14} className="text-danger" aria-hidden />,
};

function GateLine({ row, overrides, onOverrides }: { row: GateRow } & Pick<PlanViewProps, "overrides" | "onOverrides">) {
  const [isAsking, setIsAsking] = useState(false);
  const { gate, state, reason, deviceIds, canOverride } = row;
  const targets = deviceIds.length > 0 ? deviceIds : [undefined];
  const set = (text: string | undefined) => onOverrides(targets.reduce((all, id) => withOverride(all, gate, id, text), overrides));
  return (
    <li className="flex min-h-9 items-start gap-2.5 px-2.5 py-2 text-sm">
      <span className="mt-0.5">{MARKS[state]}</span>
      <span className="w-28 shrink-0 font-medium">{t.gates[gate]}</span>
      <span className="min-w-0 flex-1">
        <span className="sr-only">{t.gateStates[state]}. </span>
        {state === "passed" ? <span className="text-muted">{deviceIds.length > 0 ? t.deviceCount(deviceIds.length) : t.show}</span> : <span className="text-soft">{reason}</span>}
        {state !== "passed" && deviceIds.length > 0 && <span className="mt-1 flex flex-wrap gap-1">{deviceIds.map((id) => <Badge key={id} className="font-mono">{id}</Badge>)}</span>}
      </span>
      {canOverride && (state === "overridden" ? (
        <Button size="sm" tone="ghost" onClick={() => set(undefined)}>{t.removeOverride}</Button>
      ) : (
        <Button size="sm" onClick={() => setIsAsking(true)}>{t.override}</Button>
      ))}
      {isAsking && <ReasonDialog row={row} onClose={() => setIsAsking(false)} onReason={set} />}
    </li>
  );
}

function ReasonDialog({ row, onClose, onReason }: { row: GateRow; onClose: () => void; onReason: (reason: string) => void }) {
  const [text, setText] = useState("");
  const isLong = text.trim().length >= LEAST_REASON;
  const title = t.overrideTitle(t.gates[row.gate]);
  const footer = (
    <>
      <Button onClick={onClose}>{common.cancel}</Button>
      <Button tone="danger" disabled={!isLong} onClick={() => { onClose(); onReason(text.trim()); }}>{t.override}</Button>
    </>
  );
  return (
    <Dialog open onOpenChange={onClose} title={title} {...(row.reason ? { description: row.reason } : {})} footer={footer}>
      <TextArea label={t.overrideReason} hint={`${t.overrideHint(LEAST_REASON)}. ${t.overrideText}`} value={text} autoFocus maxLength={1000} onChange={({ target }) => setText(target.value)} />
    </Dialog>
  );
}

/** The batches, what is waited for, and what changes in the graph. */
function PlanFacts({ plan }: { plan: Schemas["DeploymentPlan"] }) {
  const leftOut = blockedDevices(plan);
  const impacts = Object.values(plan.impacts).map(impactOf).filter(({ added, removed, changed }) => added + removed + changed > 0);
  return (
    <>
      <div className="mt-2 flex flex-col gap-1 text-xs text-muted">
        {plan.would_start && leftOut.length > 0 && <p className="text-warn">{t.leftOut(leftOut)}</p>}
        {plan.waits_for.length > 0 && <p className="text-warn">{t.waitsFor(plan.waits_for.length)}</p>}
        {impacts.map(({ added, removed, changed }) => <p key={`${added}-${removed}-${changed}`}>{t.impact(added, removed, changed)}</p>)}
      </div>
      {plan.steps.length > 0 && (
        <details className="mt-2 text-sm">
          <summary className="touch-target flex h-7 items-center text-xs font-medium text-soft">{t.planSteps}</summary>
          <ol className="list-decimal space-y-1 pl-6 text-xs text-soft">{plan.steps.map((step) => <li key={step}>{step}</li>)}</ol>
        </details>
      )}
    </>
  );
}
