import { useQueryClient } from "@tanstack/react-query";
import { Pause, Play, Undo2, X } from "lucide-react";
import { useState } from "react";
import { api, unwrap } from "../../api/client";
import { keys } from "../../api/queries";
import type { Schemas } from "../../api/types";
import { useMay } from "../../api/useSession";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/cx";
import { Dialog } from "../../ui/Dialog";
import { TextField } from "../../ui/Field";
import { toastDone, toastError } from "../../ui/toast";
import { Tooltip } from "../../ui/Tooltip";
import { CONTROLS, reasonNotTo, type Control } from "./controls";

const icon = { size: 14, "aria-hidden": true } as const;
const ICONS = { pause: <Pause {...icon} />, resume: <Play {...icon} />, cancel: <X {...icon} />, rollback: <Undo2 {...icon} /> };

/** Pause, resume, cancel and roll back; what is not possible says why. */
export function ControlBar({ view }: { view: Schemas["DeploymentView"] }) {
  const mayOperate = useMay("operator");
  const queryClient = useQueryClient();
  const [asking, setAsking] = useState<"cancel" | "rollback">();
  const [busy, setBusy] = useState<Control>();
  const run = (control: Control, reason?: string) => {
    setBusy(control);
    const params = { path: { deployment_id: view.id } };
    const body = reason ? { reason } : {};
    unwrap(api.POST(`/deployments/{deployment_id}/${control}`, { params, body }))
      .then(() => toastDone(t.controlDone[control]), toastError)
      .finally(() => {
        setBusy(undefined);
        void queryClient.invalidateQueries({ queryKey: keys.deployment(view.id) });
      });
  };
  return (
    <div role="group" aria-label={t.title} className="flex flex-wrap gap-1.5">
      {CONTROLS.map((control) => {
        const reason = reasonNotTo(control, view.status, view.paused, mayOperate);
        const press = () => {
          if (reason) return;
          if (control === "cancel" || control === "rollback") setAsking(control);
          else run(control);
        };
        const button = (
          <Button size="sm" icon={ICONS[control]} busy={busy === control} aria-disabled={reason ? true : undefined} aria-description={reason} onClick={press} className={cx(reason && "opacity-45", control === "rollback" && !reason && "text-danger")}>
            {t.controls[control]}
          </Button>
        );
        return reason ? <Tooltip key={control} content={reason}>{button}</Tooltip> : <span key={control} className="contents">{button}</span>;
      })}
      {asking && <ConfirmDialog control={asking} onClose={() => setAsking(undefined)} onConfirm={(reason) => run(asking, reason)} />}
    </div>
  );
}

function ConfirmDialog({ control, onClose, onConfirm }: { control: "cancel" | "rollback"; onClose: () => void; onConfirm: (reason: string) => void }) {
  const [reason, setReason] = useState("");
  const confirm = () => {
    onClose();
    onConfirm(reason.trim());
  };
  const footer = (
    <>
      <Button onClick={onClose}>{t.keepGoing}</Button>
      <Button tone="danger" onClick={confirm}>{t.controls[control]}</Button>
    </>
  );
  return (
    <Dialog open onOpenChange={onClose} title={t.confirmTitles[control]} description={t.confirmTexts[control]} footer={footer}>
      <TextField label={t.controlReason} value={reason} maxLength={1000} onChange={({ target }) => setReason(target.value)} onKeyDown={(event) => event.key === "Enter" && confirm()} />
    </Dialog>
  );
}
