import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "../../api/client";
import { keys } from "../../api/queries";
import type { Schemas } from "../../api/types";
import { common } from "../../texts/common";
import { devicesTexts as t } from "../../texts/fleet/devices";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { SelectField, TextArea, TextField } from "../../ui/Field";
import { toastError } from "../../ui/toast";
import { readIds } from "./credentials";
import { CredentialsDialog } from "./CredentialsDialog";

/** Adds devices and shows their credentials, once. */
export function AddDevicesDialog({ onClose }: { onClose: () => void }) {
  const queryClient = useQueryClient();
  const [text, setText] = useState("");
  const [group, setGroup] = useState("");
  const [transport, setTransport] = useState<Schemas["Transport"]>("nats");
  const [added, setAdded] = useState<Schemas["DevicesAdded"]>();
  const [isBusy, setIsBusy] = useState(false);
  const ids = readIds(text);
  const groupName = group.trim();
  const add = () => {
    if (!ids) return;
    setIsBusy(true);
    const body = { device_ids: ids, transport, group: groupName || null };
    unwrap(api.POST("/devices", { body }))
      .then((answer) => {
        setAdded(answer);
        void queryClient.invalidateQueries({ queryKey: keys.devices });
      }, toastError)
      .finally(() => setIsBusy(false));
  };
  if (added) return <CredentialsDialog added={added} onClose={onClose} />;
  const footer = (
    <>
      <Button onClick={onClose}>{common.cancel}</Button>
      <Button tone="primary" busy={isBusy} disabled={!ids} onClick={add}>{t.add}</Button>
    </>
  );
  return (
    <Dialog open onOpenChange={onClose} title={t.addDevices} description={t.addText} footer={footer}>
      <div className="flex flex-col gap-3">
        <TextArea label={t.ids} hint={t.idsHint} error={text.trim() && !ids ? t.idsFault : undefined} value={text} autoFocus spellCheck={false} className="font-mono" onChange={({ target }) => setText(target.value)} />
        <div className="grid grid-cols-2 gap-3">
          <TextField label={t.group} hint={t.groupHint} value={group} maxLength={40} onChange={({ target }) => setGroup(target.value)} />
          <SelectField label={t.protocol} value={transport} onChange={({ target }) => setTransport(target.value === "mqtt" ? "mqtt" : "nats")}>
            <option value="nats">NATS</option>
            <option value="mqtt">MQTT</option>
          </SelectField>
        </div>
      </div>
    </Dialog>
  );
}
