import { useQueryClient } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { api, unwrap } from "../api/client";
import { keys } from "../api/queries";
import type { Schemas } from "../api/types";
import { Notice } from "../auth/AuthFrame";
import { useAction } from "../auth/useAction";
import { alarmsTexts as t } from "../texts/fleet/alarms";
import { common } from "../texts/common";
import { plainReason } from "../texts/reasons";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { TextArea } from "../ui/Field";
import { toastDone } from "../ui/toast";

const FORM = "acknowledge";

/** Asks for a note, and acknowledges an alarm. */
export function AcknowledgeDialog({ alarm, onClose }: { alarm: Schemas["Alarm"]; onClose: () => void }) {
  const action = useAction();
  const queryClient = useQueryClient();
  const acknowledge = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const note = String(new FormData(event.currentTarget).get("note")).trim();
    action.run(async () => {
      await unwrap(api.POST("/alarms/{alarm_id}/acknowledge", { params: { path: { alarm_id: alarm.id } }, body: note ? { note } : {} }));
      toastDone(t.done(alarm.device_id));
      onClose();
      void queryClient.invalidateQueries({ queryKey: keys.alarms });
    });
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={t.acknowledgeTitle}
      description={t.acknowledgeText(alarm.device_id, plainReason(alarm.reason))}
      footer={<><Button onClick={onClose}>{common.cancel}</Button><Button type="submit" form={FORM} tone="primary" busy={action.busy}>{t.acknowledge}</Button></>}
    >
      <form id={FORM} onSubmit={acknowledge} className="flex flex-col gap-3">
        <TextArea label={t.note} hint={t.noteHint} name="note" maxLength={1000} autoFocus />
        {action.error && <Notice kind="error">{action.error}</Notice>}
      </form>
    </Dialog>
  );
}
