import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Rocket } from "lucide-react";
import { useRef, useState } from "react";
import { keys, useTrack } from "../api/queries";
import type { Schemas } from "../api/types";
import { useMay } from "../api/useSession";
import { formatBytes } from "../app/format";
import { navigate } from "../app/router";
import { common } from "../texts/common";
import { deployTexts as t } from "../texts/fleet/deploy";
import { Button } from "../ui/Button";
import { Sheet } from "../ui/Dialog";
import { Empty, ErrorState, Skeleton } from "../ui/states";
import { toastError } from "../ui/toast";
import { DeploymentPanel } from "./live/DeploymentPanel";
import type { DeployTarget } from "./openDeploy";
import { faultsOf, newOrder, orderBody, type OrderForm } from "./order/order";
import { OrderFields } from "./order/OrderFields";
import { PlanView } from "./plan/PlanView";
import { bundleOf, startDeployment } from "./queries";
import { usePlan } from "./plan/usePlan";

/** Chooses devices, strategy and moment for a version, shows what would happen, and then what does. */
export default function DeploySheet({ target, onClose }: { target: DeployTarget; onClose: () => void }) {
  const track = useTrack(target.trackId);
  const detail = track.data?.data;
  const version = target.version ?? detail?.track.current_version ?? undefined;
  const [deploymentId, setDeploymentId] = useState<string>();
  const bundle = useQuery({ ...bundleOf(target.trackId, version ?? 0), enabled: version !== undefined });
  const title = t.sheetTitle(detail?.track.title ?? "");
  if (deploymentId) {
    const footer = (
      <>
        <Button onClick={() => setDeploymentId(undefined)}>{t.another}</Button>
        <Button tone="primary" onClick={() => { onClose(); navigate(`/deployments/${deploymentId}`); }}>{t.openPage}</Button>
      </>
    );
    return (
      <Sheet open wide onOpenChange={onClose} title={title} footer={footer}>
        <DeploymentPanel deploymentId={deploymentId} />
      </Sheet>
    );
  }
  if (version !== undefined && bundle.data) return <Order key={version} target={target} version={version} title={title} bundle={bundle.data} onClose={onClose} onStarted={setDeploymentId} />;
  return (
    <Sheet open wide onOpenChange={onClose} title={title}>
      {track.isError ? <ErrorState error={track.error} onRetry={() => void track.refetch()} /> : bundle.isError ? <ErrorState error={bundle.error} onRetry={() => void bundle.refetch()} /> : detail && version === undefined ? <Empty title={t.noBundleTitle} text={t.noVersion} /> : <Loading />}
    </Sheet>
  );
}

interface OrderProps {
  target: DeployTarget;
  version: number;
  title: string;
  bundle: Schemas["BundleView"];
  onClose: () => void;
  onStarted: (deploymentId: string) => void;
}

function Order({ target, version, title, bundle, onClose, onStarted }: OrderProps) {
  const mayOperate = useMay("operator");
  const queryClient = useQueryClient();
  const [form, setForm] = useState<OrderForm>(() => newOrder(target.deviceIds));
  const [isStarting, setIsStarting] = useState(false);
  const key = useRef(crypto.randomUUID());
  const faults = faultsOf(form);
  const body = orderBody(form, target.trackId, version);
  const plan = usePlan(body, mayOperate && faults.length === 0);
  const wouldStart = plan.isCurrent && plan.data?.would_start === true;
  const { est_ms } = bundle.runtime_estimate;

  const change = (changes: Partial<OrderForm>) => {
    // Another order is no repetition of the one before.
    key.current = crypto.randomUUID();
    setForm((before) => ({ ...before, ...changes }));
  };
  const start = () => {
    setIsStarting(true);
    startDeployment(body, key.current)
      .then((deploymentId) => {
        void queryClient.invalidateQueries({ queryKey: keys.deployments });
        onStarted(deploymentId);
      }, toastError)
      .finally(() => setIsStarting(false));
  };

  const going = plan.data?.batches.flat().length ?? form.deviceIds.length;
  const hint = !mayOperate ? t.needsOperator : faults[0] ? t.faults[faults[0]] : plan.data && !plan.data.would_start ? t.blockedHint : undefined;
  const footer = (
    <>
      {hint && <p id="deploy-hint" className="min-w-0 flex-1 basis-52 self-center text-xs text-muted">{hint}</p>}
      <Button onClick={onClose}>{common.cancel}</Button>
      <Button tone="primary" busy={isStarting} disabled={!wouldStart} aria-describedby={hint ? "deploy-hint" : undefined} onClick={start} icon={<Rocket size={14} aria-hidden />}>
        {form.deviceIds.length === 0 ? t.confirmNothing : t.confirm(going)}
      </Button>
    </>
  );
  return (
    <Sheet open wide onOpenChange={onClose} title={title} description={t.sheetText(version, formatBytes(bundle.bundle.size), `${est_ms.toFixed(1)} ms`)} footer={footer}>
      <OrderFields form={form} faults={faults} compatibility={bundle.compatibility} trackId={target.trackId} version={version} onChange={change} />
      {mayOperate && faults.length === 0 && <PlanView plan={plan} overrides={form.overrides} onOverrides={(overrides) => change({ overrides })} />}
    </Sheet>
  );
}

function Loading() {
  return <div className="flex flex-col gap-3"><Skeleton className="h-40 w-full" /><Skeleton className="h-24 w-full" /><Skeleton className="h-40 w-full" /></div>;
}
