import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FeedEvent } from "../api/types";
import { addItems, filterItems, readFilter, toCsv, writeKinds } from "./filter";
import { placeBefore } from "./history";
import { KINDS, toItem, type ActivityItem, type Kind } from "./items";

const event = (type: string, data: object, actor?: string) => ({ id: "000000000007-000000000009", at: "2026-01-01T12:00:00Z", topic: "activity", type, data, ...(actor ? { actor } : {}) }) as unknown as FeedEvent;
const item = (id: number, fields: Partial<ActivityItem> = {}): ActivityItem => ({ id: String(id).padStart(4, "0"), at: "2026-01-01T12:00:00Z", kind: "job", severity: "info", text: "text", ...fields });
const nameOf = (trackId: string) => (trackId === "trk_1" ? "Flickr" : trackId);

describe("a line of the log", () => {
  it("says who edited, and leads to the version", () => {
    const data = { track_id: "trk_1", version: 3, moved: 2, added: 1, deleted: 0, note: "drop", author: { kind: "user", id: "u", name: "Ada" } };
    expect(toItem(event("beats_updated", data, "ada@example.org"))).toMatchObject({ kind: "edit", actor: "Ada", to: "/tracks/trk_1?v=3", detail: "2 moved, 1 added, 0 deleted. drop" });
  });

  it("says whether a graph was edited or became a version, and leads to it", () => {
    const data = { track_id: "trk_1", version: 3, revision: 1, etag: "e", author: { kind: "user", id: "u", name: "Ada" } };
    expect(toItem(event("graph.edited", data))).toMatchObject({ kind: "edit", actor: "Ada", text: "Graph of v3 edited", to: "/tracks/trk_1/graph?v=3" });
    expect(toItem(event("graph.edited", { ...data, previous_version: 2 }))?.text).toBe("Graph saved as v3, made from v2");
    expect(toItem(event("graph.simulated", data))?.text).toBe("Graph of v3 simulated, its bundle is ready");
  });

  it("tells an automatic roll-back from one by hand", () => {
    const data = { deployment_id: "dep_1", track_id: "trk_1", version: 1, reason: "drift", devices: [] };
    expect(toItem(event("deploy.rolled_back", data))).toMatchObject({ severity: "bad", text: "v1: automatic roll-back executed", detail: "drift", to: "/deployments/dep_1" });
    expect(toItem(event("deploy.rolled_back", data, "Ada"))?.text).toBe("v1 was rolled back");
  });

  it.each([["amber", "opened", "warn"], ["alert", "opened", "warn"], ["alarm", "opened", "bad"], ["alarm", "cleared", "good"]])("an alarm of level %s that was %s is %s", (level, change, severity) => {
    expect(toItem(event(`alarm.${change}`, { device_id: "d", kind: "drift", level, flapping: false, reason: "r" }))?.severity).toBe(severity);
  });

  it("says in plain words why an alarm was opened and cleared, and why a device was rolled back", () => {
    const alarm = { device_id: "d", kind: "temperature", level: "alarm", flapping: false, reason: "temp_c > 80" };
    expect(toItem(event("alarm.opened", alarm))?.detail).toBe("Temperature above 80 °C");
    expect(toItem(event("alarm.cleared", { ...alarm, clear_reason: "temp_c <= 75 for 2s" }))?.detail).toBe("Temperature at most 75 °C for 2 s");
    const data = { deployment_id: "dep_1", track_id: "trk_1", version: 1, devices: [{ device_id: "d", outcome: "rolled_back", reason: "drift_ms > 100 for 5s" }] };
    expect(toItem(event("deploy.rolled_back", { ...data, reason: "d: drift_ms > 100 for 5s" }))?.detail).toBe("d: drift above 100 ms for 5 s");
    expect(toItem(event("deploy.succeeded", data))?.detail).toBe("d: drift above 100 ms for 5 s");
  });

  it("says once that an alarm flaps, and nothing of each crossing of its level", () => {
    const data = { device_id: "d", kind: "drift", level: "amber", flapping: true, reason: "r" };
    expect(toItem(event("alarm.opened", data))?.text).toBe("Drift alarm comes and goes");
    expect(toItem(event("device.alarm", { ...data, state: "raised" }))).toBeUndefined();
  });

  it("leaves the stages of a deployment out once they are passed", () => {
    const stage = (id: number, status: string) => ({ ...toItem(event("deploy.progressed", { deployment_id: "dep_1", track_id: "trk_1", version: 1, status, paused: false })), id: String(id) });
    expect(stage(9, "succeeded")).toEqual({ id: "9" });
    const items = [stage(4, "observing"), stage(3, "activating"), stage(2, "staging"), stage(1, "checking")] as ActivityItem[];
    expect(filterItems(items, readFilter(new URLSearchParams()), nameOf).map(({ id }) => id)).toEqual(["4", "1"]);
  });

  it("is not made of samples and notices", () => {
    for (const type of ["device.reading", "job.progressed", "deployment.changed", "gap", "dropped", "closing"]) expect(toItem(event(type, {}))).toBeUndefined();
  });
});

describe("the log", () => {
  it("has every event once, the newest first, and is bounded", () => {
    fc.assert(fc.property(fc.array(fc.array(fc.nat(60), { maxLength: 20 }), { maxLength: 8 }), (batches) => {
      const items = batches.reduce<ActivityItem[]>((all, batch) => addItems(all, batch.map((id) => item(id)), 25), []);
      const ids = items.map(({ id }) => id);
      expect(ids).toEqual([...new Set(ids)].sort().reverse());
      expect(items.length).toBeLessThanOrEqual(25);
    }));
  });

  it("is filtered by kind, severity and text, also by the title of the track", () => {
    const items = [item(1, { trackId: "trk_1" }), item(2, { kind: "alarm", severity: "bad", deviceId: "k1" }), item(3, { kind: "device", severity: "warn" })];
    const ids = (query: string) => filterItems(items, readFilter(new URLSearchParams(query)), nameOf).map(({ id }) => Number(id));
    expect(ids("")).toEqual([1, 2]);
    expect(ids("log=flick")).toEqual([1]);
    expect(ids("kinds=device,alarm&least=notice")).toEqual([2, 3]);
    expect(ids("kinds=none")).toEqual([]);
    expect(ids("least=bad")).toEqual([2]);
  });

  it("keeps the kinds in the address", () => {
    fc.assert(fc.property(fc.subarray([...KINDS]), (kinds) => {
      const written = writeKinds(new Set(kinds));
      const parameters = new URLSearchParams(written === undefined ? {} : { kinds: written });
      expect(readFilter(parameters).kinds).toEqual(new Set<Kind>(kinds));
    }));
  });

  it("exports what a spreadsheet can open and cannot run", () => {
    const csv = toCsv([item(1, { text: '=HYPERLINK("x")', detail: "a, b", trackId: "trk_1" })], nameOf);
    expect(csv.split("\r\n")[1]).toBe(`2026-01-01T12:00:00Z,job,info,"'=HYPERLINK(""x"")","a, b",,Flickr,trk_1,,`);
  });
});

it("finds a place further back in the feed", () => {
  expect(placeBefore("000000000450-000000004297", 400)).toBe("000000000050-000000004297");
  expect(placeBefore("000000000050-000000004297", 400)).toBe("000000000000-000000004297");
});
