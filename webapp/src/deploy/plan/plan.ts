import type { Schemas } from "../../api/types";

type Check = Schemas["Check"];
type Plan = Schemas["DeploymentPlan"];
export type Gate = Schemas["Gate"];

/** A device that is away cannot be wished present. */
const NEVER_OVERRIDDEN: ReadonlySet<Gate> = new Set(["presence"]);

/** A gate with what it says of the show itself, or of the devices that fail it for the same reason. */
export interface GateRow {
  key: string;
  gate: Gate;
  state: "passed" | "overridden" | "failed";
  reason: string | undefined;
  /** The devices it concerns; empty: the show itself, for all of them. */
  deviceIds: readonly string[];
  canOverride: boolean;
}

/** Returns the gates of a dry run: those of the show, then those of the devices; devices with the same result together. */
export function gateRows(plan: Plan): GateRow[] {
  const ofShow = plan.checks.map((check) => rowOf(check, []));
  const ofDevices = new Map<string, GateRow>();
  for (const { device_id, checks } of plan.devices) {
    for (const check of checks) {
      const row = rowOf(check, [device_id]);
      const known = ofDevices.get(row.key);
      ofDevices.set(row.key, known ? { ...known, deviceIds: [...known.deviceIds, device_id] } : row);
    }
  }
  const order = ["presence", "firmware", "nodes", "space"];
  const sorted = [...ofDevices.values()].sort((one, other) => order.indexOf(one.gate) - order.indexOf(other.gate));
  return [...ofShow, ...sorted];
}

/** Returns the ids of the devices that the plan leaves out, since a gate stops them. */
export function blockedDevices(plan: Plan): string[] {
  return plan.devices.filter(({ checks }) => checks.some(isStopped)).map(({ device_id }) => device_id);
}

/** Returns the gates that stop the show itself. */
export function stoppingGates(plan: Plan): Gate[] {
  return plan.checks.filter(isStopped).map(({ gate }) => gate);
}

/** Counts what changes in the graph against each show that devices run now. */
export function impactOf({ added_nodes, removed_nodes, changed_params, changed_inputs }: Schemas["GraphImpact"]): { added: number; removed: number; changed: number } {
  return { added: added_nodes.length, removed: removed_nodes.length, changed: changed_params.length + changed_inputs.length };
}

function isStopped({ passed, overridden }: Check): boolean {
  return !passed && !overridden;
}

function rowOf(check: Check, deviceIds: readonly string[]): GateRow {
  const state = check.passed ? "passed" : check.overridden ? "overridden" : "failed";
  const reason = check.reason ?? undefined;
  const key = `${deviceIds.length > 0 ? "device" : "show"}:${check.gate}:${state}:${reason ?? ""}`;
  return { key, gate: check.gate, state, reason, deviceIds, canOverride: state !== "passed" && !NEVER_OVERRIDDEN.has(check.gate) };
}
