import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batchSizes, faultsOf, newOrder, orderBody, withOverride } from "./order";

describe("an order", () => {
  it("puts every device into one batch, the canary first", () => {
    fc.assert(fc.property(fc.nat(200), fc.nat(50), fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }), (count, canary, size) => {
      const sizes = batchSizes(count, canary, size);
      expect(sizes.reduce((sum, each) => sum + each, 0)).toBe(count);
      expect(sizes.every((each) => each > 0)).toBe(true);
      if (canary > 0 && count > 0) expect(sizes[0]).toBe(Math.min(canary, count));
    }));
  });

  it("needs devices, whole numbers and a time that is yet to come", () => {
    expect(faultsOf(newOrder())).toEqual(["devices"]);
    const form = newOrder(["a"]);
    expect(faultsOf(form)).toEqual([]);
    expect(faultsOf({ ...form, canary: 1.5, batchSize: 0, maxFailures: Number.NaN, observeSeconds: 9999 })).toEqual(["canary", "batchSize", "maxFailures", "observeSeconds"]);
    expect(faultsOf({ ...form, maxFailures: 101, inPercent: true })).toEqual(["maxFailures"]);
    const now = Date.parse("2026-01-01T12:00:00");
    expect(faultsOf({ ...form, when: "time", at: "2026-01-01T11:59:59" }, now)).toEqual(["at"]);
    expect(faultsOf({ ...form, when: "time", at: "2026-01-01T12:00:01" }, now)).toEqual([]);
    expect(faultsOf({ ...form, when: "downbeat" })).toEqual(["playing"]);
  });

  it("measures the drift of the first batch only where a bound is given", () => {
    const form = newOrder(["a"]);
    expect(orderBody(form, "trk_1", 3).strategy?.quality).toBeNull();
    expect(orderBody({ ...form, maxDriftMs: 20 }, "trk_1", 3).strategy?.quality).toEqual({ max_drift_ms: 20, bars: 8 });
    expect(faultsOf({ ...form, driftBars: Number.NaN })).toEqual([]);
    expect(faultsOf({ ...form, maxDriftMs: 0, driftBars: 257 })).toEqual(["maxDriftMs", "driftBars"]);
  });

  it("says a share of failures as a text, and the moment in UTC", () => {
    const form = { ...newOrder(["a", "b"]), maxFailures: 10, inPercent: true, when: "time" as const, at: "2030-05-01T20:15:00" };
    const body = orderBody(form, "trk_1", 3);
    expect(body.strategy).toMatchObject({ max_failures: "10%", canary: 1, batch_size: null });
    expect(body.activation).toEqual({ when: "time", at: new Date("2030-05-01T20:15:00").toISOString() });
  });

  it("has one override for each gate and device, and none that was taken back", () => {
    const first = withOverride([], "f_measure", undefined, "listened to it");
    const second = withOverride(first, "f_measure", undefined, "listened to it twice");
    const third = withOverride(second, "firmware", "a", "tried on the bench");
    expect(third.map(({ gate, device_id, reason }) => [gate, device_id, reason])).toEqual([["f_measure", null, "listened to it twice"], ["firmware", "a", "tried on the bench"]]);
    expect(withOverride(third, "firmware", "a", undefined)).toEqual(second);
    expect(withOverride(third, "firmware", "b", undefined)).toEqual(third);
  });
});
