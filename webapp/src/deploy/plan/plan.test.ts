import { describe, expect, it } from "vitest";
import type { Schemas } from "../../api/types";
import { blockedDevices, gateRows, stoppingGates } from "./plan";
import { groupTargets, targetsOf, withAll } from "../order/targets";

const pass = (gate: Schemas["Gate"]): Schemas["Check"] => ({ gate, passed: true, overridden: false });
const fail = (gate: Schemas["Gate"], reason: string, overridden = false): Schemas["Check"] => ({ gate, passed: false, overridden, reason });
const PLAN = {
  checks: [pass("track_status"), fail("f_measure", "0.67", true), fail("photosensitivity", "flashes")],
  devices: [
    { device_id: "a", checks: [pass("presence"), fail("firmware", "too old")] },
    { device_id: "b", checks: [pass("presence"), fail("firmware", "too old")] },
    { device_id: "c", checks: [fail("presence", "away"), pass("firmware")] },
  ],
} as unknown as Schemas["DeploymentPlan"];

describe("a dry run", () => {
  it("shows each gate once for the show, and devices with the same result together", () => {
    const rows = gateRows(PLAN).map(({ gate, state, deviceIds }) => [gate, state, deviceIds]);
    expect(rows).toEqual([
      ["track_status", "passed", []],
      ["f_measure", "overridden", []],
      ["photosensitivity", "failed", []],
      ["presence", "passed", ["a", "b"]],
      ["presence", "failed", ["c"]],
      ["firmware", "failed", ["a", "b"]],
      ["firmware", "passed", ["c"]],
    ]);
  });

  it("lets no one wish an absent device present", () => {
    const rows = gateRows(PLAN).filter(({ state }) => state !== "passed");
    expect(rows.filter(({ canOverride }) => !canOverride).map(({ gate }) => gate)).toEqual(["presence"]);
  });

  it("names what stops it", () => {
    expect(stoppingGates(PLAN)).toEqual(["photosensitivity"]);
    expect(blockedDevices(PLAN)).toEqual(["a", "b", "c"]);
  });
});

describe("the choice of devices", () => {
  const device = (id: string, group?: string, revoked_at?: string) => ({ id, group, revoked_at, online: true, node_types: [] }) as unknown as Schemas["DeviceView"];
  const targets = targetsOf([device("b", "stage"), device("a"), device("c", "bar"), device("x", "bar", "2026-01-01")], [{ device_id: "b", status: "no_space", reason: "full" }]);

  it("leaves revoked devices out, and says what is known of the others", () => {
    expect(targets.map(({ device: { id }, status }) => [id, status])).toEqual([["c", undefined], ["b", "no_space"], ["a", undefined]]);
  });

  it("groups by name, those without a group last", () => {
    expect(groupTargets(targets, "").map(({ group, items }) => [group, items.length])).toEqual([["bar", 1], ["stage", 1], [null, 1]]);
    expect(groupTargets(targets, "STA").map(({ group }) => group)).toEqual(["stage"]);
  });

  it("keeps the order of the list, whatever the order of the clicks", () => {
    expect(withAll(withAll([], ["a"], true, targets), ["b"], true, targets)).toEqual(["b", "a"]);
    expect(withAll(["b", "a"], ["b"], false, targets)).toEqual(["a"]);
  });
});
