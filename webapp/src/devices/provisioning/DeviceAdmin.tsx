import { useQueryClient } from "@tanstack/react-query";
import { Ban, Ellipsis, KeyRound } from "lucide-react";
import { useState } from "react";
import { api, unwrap } from "../../api/client";
import { keys } from "../../api/queries";
import type { Schemas } from "../../api/types";
import { common } from "../../texts/common";
import { devicesTexts as t } from "../../texts/fleet/devices";
import { Button, IconButton } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Menu, MenuItem } from "../../ui/Menu";
import { toastDone, toastError } from "../../ui/toast";
import { CredentialsDialog } from "./CredentialsDialog";

/** What an administrator can do with a device: a new credential, or none. */
export function DeviceAdmin({ device }: { device: Schemas["DeviceView"] }) {
  const { id, transport } = device;
  const queryClient = useQueryClient();
  const [asking, setAsking] = useState<"renew" | "revoke">();
  const [added, setAdded] = useState<Schemas["DevicesAdded"]>();
  const reload = () => void queryClient.invalidateQueries({ queryKey: keys.devices });
  const run = () => {
    setAsking(undefined);
    if (asking === "renew") {
      // The group is sent again: a renewed device is as it is told to be.
      const body = { device_ids: [id], transport, group: device.group ?? null, renew: true };
      unwrap(api.POST("/devices", { body })).then(setAdded, toastError).finally(reload);
    } else {
      unwrap(api.POST("/devices/revoke", { body: { device_ids: [id] } })).then(() => toastDone(t.revokedDone(id)), toastError).finally(reload);
    }
  };
  const footer = (
    <>
      <Button onClick={() => setAsking(undefined)}>{common.cancel}</Button>
      <Button tone="danger" onClick={run}>{asking === "renew" ? t.renew : t.revoke}</Button>
    </>
  );
  return (
    <>
      <Menu trigger={<IconButton label={t.actions(id)}><Ellipsis size={16} /></IconButton>}>
        <MenuItem icon={<KeyRound size={14} aria-hidden />} onSelect={() => setAsking("renew")}>{t.renew}</MenuItem>
        <MenuItem icon={<Ban size={14} aria-hidden />} danger disabled={device.revoked_at != null} onSelect={() => setAsking("revoke")}>{t.revoke}</MenuItem>
      </Menu>
      {asking && <Dialog open onOpenChange={() => setAsking(undefined)} title={asking === "renew" ? t.renew : t.revokeTitle(id)} description={asking === "renew" ? t.renewText(id) : t.revokeText} footer={footer} />}
      {added && <CredentialsDialog added={added} onClose={() => setAdded(undefined)} />}
    </>
  );
}
