import type { Schemas } from "../../api/types";

type Device = Schemas["DeviceView"];

/** A device that may be deployed to, and whether it can run the bundle. */
export interface Target {
  device: Device;
  status: Schemas["Compatibility"]["status"] | undefined;
  reason: string | undefined;
}

export interface TargetGroup {
  group: string | null;
  items: Target[];
}

/** Joins the devices with what the bundle's check says of them; by group and id, those without a group last. */
export function targetsOf(devices: readonly Device[], compatibility: readonly Schemas["Compatibility"][]): Target[] {
  const known = new Map(compatibility.map((each) => [each.device_id, each]));
  return devices
    .filter(({ revoked_at }) => !revoked_at)
    .map((device) => ({ device, status: known.get(device.id)?.status, reason: known.get(device.id)?.reason ?? undefined }))
    .sort((one, other) => compareGroups(one.device.group ?? null, other.device.group ?? null) || one.device.id.localeCompare(other.device.id));
}

/** Returns the targets whose id, group or firmware has the text, by group. */
export function groupTargets(targets: readonly Target[], text: string): TargetGroup[] {
  const wanted = text.trim().toLowerCase();
  const groups = new Map<string | null, Target[]>();
  for (const target of targets) {
    const { id, group = null, firmware } = target.device;
    if (wanted && ![id, group, firmware].some((each) => each?.toLowerCase().includes(wanted))) continue;
    groups.set(group, [...(groups.get(group) ?? []), target]);
  }
  return [...groups].map(([group, items]) => ({ group, items })).sort((one, other) => compareGroups(one.group, other.group));
}

/** Returns the choice with some devices added or taken away, in the order in which the devices are listed. */
export function withAll(chosen: readonly string[], ids: readonly string[], isOn: boolean, targets: readonly Target[]): string[] {
  const next = new Set(chosen);
  for (const id of ids) {
    if (isOn) next.add(id);
    else next.delete(id);
  }
  return targets.map(({ device }) => device.id).filter((id) => next.has(id));
}

function compareGroups(one: string | null, other: string | null): number {
  return Number(one === null) - Number(other === null) || (one ?? "").localeCompare(other ?? "");
}
