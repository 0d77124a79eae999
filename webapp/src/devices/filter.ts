import type { Schemas } from "../api/types";

type Device = Schemas["DeviceView"];
export type Only = "all" | "offline" | "trouble";

export interface DeviceFilter {
  text: string;
  group: string;
  only: Only;
}

/** Returns the filter that an address says. */
export function readDeviceFilter(parameters: URLSearchParams): DeviceFilter {
  const only = parameters.get("only");
  return { text: parameters.get("q") ?? "", group: parameters.get("group") ?? "", only: only === "offline" || only === "trouble" ? only : "all" };
}

/** Returns whether a device reports to run something else than what is desired. */
export function differs({ running, expected }: Device): boolean {
  return expected != null && expected.bundle_sha256 !== running?.bundle_sha256;
}

/** Returns the devices that a filter lets through, those with trouble first, then by group and id. */
export function filterDevices(devices: readonly Device[], { text, group, only }: DeviceFilter): Device[] {
  const wanted = text.trim().toLowerCase();
  return devices
    .filter((device) => {
      if (group && device.group !== group) return false;
      if (only === "offline" && device.online) return false;
      if (only === "trouble" && !hasTrouble(device)) return false;
      return !wanted || [device.id, device.group, device.model, device.firmware].some((each) => each?.toLowerCase().includes(wanted));
    })
    .sort((one, other) => Number(hasTrouble(other)) - Number(hasTrouble(one)) || (one.group ?? "￿").localeCompare(other.group ?? "￿") || one.id.localeCompare(other.id));
}

/** Returns the names of all groups. */
export function groupsOf(devices: readonly Device[]): string[] {
  return [...new Set(devices.map(({ group }) => group).filter((group) => group != null))].sort();
}

function hasTrouble(device: Device): boolean {
  return device.alarms.length > 0 || differs(device);
}
