import { Check, CircleAlert } from "lucide-react";
import type { Schemas } from "../../api/types";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { plainConditions } from "../../texts/reasons";
import { Spinner } from "../../ui/Spinner";
import { clockTime, formatTook } from "./times";

const MARKS = {
  running: <Spinner className="size-3! text-accent" />,
  done: <Check size={13} className="text-ok" aria-hidden />,
  failed: <CircleAlert size={13} className="text-danger" aria-hidden />,
};

/** The steps of one device with their times. */
export function StepList({ steps }: { steps: readonly Schemas["StepView"][] }) {
  if (steps.length === 0) return <p className="px-3 pb-2 pl-11 text-xs text-muted">{t.noSteps}</p>;
  return (
    <ol className="flex flex-col gap-1 bg-bg px-3 py-2 pl-11 text-xs">
      {steps.map((step) => (
        <li key={`${step.step}-${step.started_at}-${step.attempt}`} className="grid grid-cols-[1rem_4.5rem_5.5rem_4rem] items-baseline gap-x-2 @2xl:grid-cols-[1rem_5rem_6.5rem_4rem_1fr]">
          <span className="self-start pt-0.5">{MARKS[step.status]}</span>
          <span className="font-medium">{t.steps[step.step]}</span>
          <span className="text-muted">{clockTime(step.started_at)}</span>
          <span className="text-right text-muted">{step.ended_at ? formatTook(Date.parse(step.ended_at) - Date.parse(step.started_at)) : ""}</span>
          <span className="col-span-full min-w-0 pl-6 text-soft empty:hidden @2xl:col-span-1 @2xl:pl-0">{[step.attempt > 1 && t.attempt(step.attempt), step.detail && plainConditions(step.detail), step.error_ms != null && t.missedBy(step.error_ms)].filter(Boolean).join(" · ")}</span>
        </li>
      ))}
    </ol>
  );
}
