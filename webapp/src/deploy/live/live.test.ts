import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Schemas } from "../../api/types";
import { CONTROLS, hasEnded, reasonNotTo } from "./controls";
import { mergeChange } from "./merge";
import { progressOf } from "./progress";
import { reportedState } from "./reported";
import { layOutTimeline, ticksOf } from "./timeline";
import { formatTook } from "./times";

const STATUSES: Schemas["DeploymentStatus"][] = ["queued", "checking", "staging", "activating", "observing", "committing", "discarding", "rolling_back", "rollback_pending", "succeeded", "failed", "rolled_back", "cancelled"];
const step = (name: Schemas["StepName"], started_at: string, ended_at?: string, status: Schemas["StepView"]["status"] = ended_at ? "done" : "running"): Schemas["StepView"] => ({ step: name, status, started_at, attempt: 1, ...(ended_at ? { ended_at } : {}) });
const at = (seconds: number) => new Date(1_000_000 + seconds * 1000).toISOString();
const view = {
  id: "dep_1", status: "staging", paused: false, created_at: at(0), updated_at: at(5), bundle_sha256: "new",
  devices: [
    { device_id: "a", outcome: "staging", percent: 10, batch: 1, steps: [step("check", at(0), at(1)), step("stage", at(1))] },
    { device_id: "b", outcome: "pending", batch: 2, steps: [] },
  ],
} as unknown as Schemas["DeploymentView"];
const change = (fields: Partial<Schemas["DeploymentChange"]>): Schemas["DeploymentChange"] => ({ deployment_id: "dep_1", status: "staging", paused: false, at: at(6), ...fields });

describe("controls", () => {
  it("are possible exactly where the server allows them", () => {
    for (const status of STATUSES) {
      for (const paused of [false, true]) {
        const possible = CONTROLS.filter((control) => reasonNotTo(control, status, paused, true) === undefined);
        const isForward = STATUSES.indexOf(status) <= STATUSES.indexOf("committing");
        const expected = isForward ? [paused ? "resume" : "pause", "cancel", "rollback"] : status === "succeeded" ? ["rollback"] : [];
        expect(possible).toEqual(expected);
      }
    }
  });

  it("are for operators", () => {
    for (const status of STATUSES) for (const control of CONTROLS) expect(reasonNotTo(control, status, false, false)).toMatch(/operator/);
  });

  it("end with the deployment", () => {
    expect(STATUSES.filter(hasEnded)).toEqual(["succeeded", "failed", "rolled_back", "cancelled"]);
  });
});

describe("live changes", () => {
  it("end a step and move its device", () => {
    const after = mergeChange(view, change({ device_id: "a", outcome: "staged", step: step("stage", at(1), at(6)) }));
    expect(after.devices[0]).toMatchObject({ outcome: "staged", steps: [{ step: "check" }, { step: "stage", status: "done" }] });
    expect(after.devices[1]).toBe(view.devices[1]);
  });

  it("of before the view change nothing that is newer", () => {
    const after = mergeChange(view, change({ at: at(2), status: "checking", device_id: "a", outcome: "pending", percent: 0, step: step("check", at(0)) }));
    expect(after).toEqual(view);
  });

  it("may come twice", () => {
    const told = change({ device_id: "b", outcome: "staging", percent: 30, step: step("stage", at(5)) });
    const once = mergeChange(view, told);
    expect(mergeChange(once, told)).toEqual(once);
  });

  it("of another deployment change nothing", () => {
    expect(mergeChange(view, change({ deployment_id: "dep_2", status: "failed" }))).toBe(view);
  });
});

describe("what a device reports", () => {
  const bundle = (bundle_sha256: string) => ({ bundle_sha256 });
  it.each([
    [bundle("new"), true, "new"],
    [bundle("old"), true, "before"],
    [bundle("third"), true, "other"],
    [null, true, "nothing"],
    [undefined, false, "unknown"],
  ] as const)("%j is %s", (running, isKnown, state) => {
    expect(reportedState(running, isKnown, "new", bundle("old"))).toBe(state);
  });
});

describe("the timeline", () => {
  it("keeps every bar inside, whatever the clock of the browser says", () => {
    fc.assert(fc.property(fc.integer({ min: -100, max: 1000 }), (seconds) => {
      const { rows, span_ms } = layOutTimeline(view, Date.parse(at(seconds)));
      expect(span_ms).toBeGreaterThanOrEqual(1000);
      for (const { left, width } of rows.flatMap(({ bars }) => bars)) {
        expect(left).toBeGreaterThanOrEqual(0);
        expect(left + width).toBeLessThanOrEqual(1.000001);
      }
    }));
  });

  it("has at most nine marks", () => {
    fc.assert(fc.property(fc.integer({ min: 1000, max: 600_000 }), (span) => {
      const ticks = ticksOf(span);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThanOrEqual(9);
      expect(ticks.at(-1)).toBeLessThanOrEqual(span);
    }));
  });

  it("says short and long times", () => {
    expect([formatTook(-3), formatTook(340), formatTook(12_340), formatTook(245_000)]).toEqual(["0 ms", "340 ms", "12.3 s", "4 min 05 s"]);
  });
});

it("is complete when every device is done with", () => {
  expect(progressOf(["committed", "failed", "rolled_back"])).toEqual({ done: 3, percent: 100 });
  expect(progressOf(["pending", "staged"])).toEqual({ done: 0, percent: 20 });
  expect(progressOf([])).toEqual({ done: 0, percent: 0 });
});
