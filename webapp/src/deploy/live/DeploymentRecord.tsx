import { Copy } from "lucide-react";
import type { ReactNode } from "react";
import type { Schemas } from "../../api/types";
import { formatTime } from "../../app/format";
import { common } from "../../texts/common";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { IconButton } from "../../ui/Button";
import { toastDone } from "../../ui/toast";
import { clockTime } from "./times";

type View = Schemas["DeploymentView"];

/** What stays of a deployment: the order, the overrides with their reasons, and who did what. */
export function DeploymentRecord({ view }: { view: View }) {
  const { strategy } = view;
  return (
    <div className="flex flex-col gap-4 text-sm">
      <Part title={t.strategyGiven}>
        <dl className="grid grid-cols-[8rem_1fr] gap-y-1">
          <dt className="text-muted">{t.canary}</dt><dd>{strategy.canary ?? 0}</dd>
          <dt className="text-muted">{t.batch}</dt><dd>{strategy.batch_size ?? common.noValue}</dd>
          <dt className="text-muted">{t.failures}</dt><dd>{strategy.max_failures ?? 0}</dd>
          <dt className="text-muted">{t.observe}</dt><dd>{strategy.observe_seconds ?? 0}</dd>
          <dt className="text-muted">{t.when}</dt><dd>{activationText(view.activation)}</dd>
          {view.trace_id && (
            <>
              <dt className="text-muted">{t.trace}</dt>
              <dd className="flex items-center gap-1 font-mono text-xs">
                <span className="truncate">{view.trace_id}</span>
                <IconButton size="sm" label={t.copyTrace} onClick={() => void navigator.clipboard.writeText(view.trace_id ?? "").then(() => toastDone(common.copied))}><Copy size={13} /></IconButton>
              </dd>
            </>
          )}
        </dl>
      </Part>
      <Part title={t.overridesGiven}>
        {view.overrides.length === 0 && <p className="text-muted">{t.noOverrides}</p>}
        <ul className="flex flex-col gap-1">
          {view.overrides.map(({ gate, device_id, reason }) => (
            <li key={`${gate}-${device_id ?? ""}`}><span className="font-medium text-warn">{t.gates[gate]}</span>{device_id && <span className="ml-1.5 font-mono text-xs">{device_id}</span>}: {reason}</li>
          ))}
        </ul>
      </Part>
      <Part title={t.audit}>
        <ol className="flex flex-col gap-1 text-xs">
          {view.audit.map(({ at, actor, action, detail }, index) => (
            <li key={`${at}-${index}`} className="flex flex-wrap gap-x-2"><span className="text-muted">{clockTime(at)}</span><span className="font-medium">{actor}</span><span>{action}</span>{detail && <span className="text-soft">{detail}</span>}</li>
          ))}
        </ol>
      </Part>
    </div>
  );
}

function activationText(activation: View["activation"]): string {
  if (activation.when === "now") return t.activation.now;
  if (activation.when === "time") return formatTime(activation.at);
  return `${t.activation.downbeat} · ${t.playingSince(clockTime(activation.started_at))}`;
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h3 className="mb-1.5 text-2xs font-semibold tracking-wide text-muted uppercase">{title}</h3>
      {children}
    </section>
  );
}
