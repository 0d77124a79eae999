import { useState } from "react";
import type { Schemas } from "../../api/types";
import { deployTexts as t } from "../../texts/fleet/deploy";
import { SelectField } from "../../ui/Field";
import { clockTime } from "./times";

/** What happened, line by line, the newest at the top. */
export function DeploymentLog({ view }: { view: Schemas["DeploymentView"] }) {
  const [deviceId, setDeviceId] = useState("");
  const lines = view.log.filter(({ device_id }) => deviceId === "" || device_id === deviceId).toReversed();
  return (
    <div className="flex flex-col gap-2">
      <div className="w-full max-w-60">
        <SelectField label={t.logOf} value={deviceId} onChange={({ target }) => setDeviceId(target.value)}>
          <option value="">{t.allDevices}</option>
          {view.devices.map(({ device_id }) => <option key={device_id}>{device_id}</option>)}
        </SelectField>
      </div>
      {lines.length === 0 && <p className="text-sm text-muted">{t.noLog}</p>}
      <div role="log" aria-label={t.tabs.log} tabIndex={0} className="max-h-[28rem] overflow-y-auto rounded border border-line bg-bg py-1 font-mono text-xs">
        <ol>
          {lines.map(({ seq, at, text, device_id }) => (
            <li key={seq} className="grid grid-cols-[6.5rem_1fr] gap-x-2 px-2.5 py-0.5 hover:bg-raised md:grid-cols-[6.5rem_8rem_1fr]">
              <span className="text-muted">{clockTime(at)}</span>
              <span className="hidden truncate text-accent md:inline">{device_id}</span>
              <span className="min-w-0 wrap-anywhere">{device_id && <span className="text-accent md:hidden">{device_id} </span>}{text}</span>
            </li>
          ))}
        </ol>
      </div>
    </div>
  );
}
