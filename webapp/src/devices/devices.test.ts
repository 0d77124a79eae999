import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Schemas } from "../api/types";
import { credentialFiles, readIds } from "./provisioning/credentials";
import { differs, filterDevices, groupsOf, readDeviceFilter } from "./filter";
import { addReading, KEPT_MS, levelOf, rangeOf, type ReadingLine } from "./readings";

const sample = (time: number, drift_ms = 0): Schemas["LiveSample"] => ({ timestamp: new Date(time).toISOString(), device_id: "a", drift_ms, cpu_pct: 40, temp_c: 50, fps: 60 });
const lineOf = (times: readonly number[]) => times.reduce<ReadingLine | undefined>((line, time) => addReading(line, sample(time)), undefined);

describe("readings", () => {
  it("stay in order, are told once, and leave after a minute", () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 200 }), (times) => {
      const line = lineOf(times);
      const kept = line?.times ?? [];
      expect([...kept]).toEqual([...new Set(kept)].sort((one, other) => one - other));
      expect(kept.at(-1)).toBe(Math.max(...times));
      expect((kept.at(-1) ?? 0) - (kept[0] ?? 0)).toBeLessThanOrEqual(KEPT_MS);
      for (const values of Object.values(line?.values ?? {})) expect(values.length).toBe(kept.length);
    }));
  });

  it("never grow beyond their bound, however fast they come", () => {
    const line = lineOf(Array.from({ length: 3_000 }, (_, index) => index));
    expect(line?.times.length).toBe(700);
    expect(line?.times.at(-1)).toBe(2_999);
  });

  it("have a range and a level", () => {
    expect(rangeOf([3, -1, 2])).toEqual([-1, 3]);
    expect([levelOf("drift_ms", -21), levelOf("drift_ms", 120), levelOf("drift_ms", 20), levelOf("cpu_pct", 81), levelOf("temp_c", 81), levelOf("fps", 20)]).toEqual(["warn", "danger", "ok", "warn", "danger", "danger"]);
  });
});

describe("the list of devices", () => {
  const device = (id: string, fields: Partial<Schemas["DeviceView"]> = {}): Schemas["DeviceView"] => ({ id, transport: "nats", online: true, node_types: [], staged: [], healing: false, alarms: [], added_at: "2026-01-01T00:00:00Z", ...fields });
  const bundle = { bundle_sha256: "a".repeat(64) };
  const devices = [device("d2", { group: "stage" }), device("d1", { group: "stage", online: false }), device("x9", { group: "bar", expected: bundle }), device("e5", { firmware: "2.0.0" })];

  it("shows those with trouble first, then by group and id", () => {
    expect(filterDevices(devices, { text: "", group: "", only: "all" }).map(({ id }) => id)).toEqual(["x9", "d1", "d2", "e5"]);
  });

  it("filters by text, group and state", () => {
    expect(filterDevices(devices, { text: "2.0", group: "", only: "all" }).map(({ id }) => id)).toEqual(["e5"]);
    expect(filterDevices(devices, { text: "", group: "stage", only: "offline" }).map(({ id }) => id)).toEqual(["d1"]);
    expect(filterDevices(devices, { text: "", group: "", only: "trouble" }).map(({ id }) => id)).toEqual(["x9"]);
    expect(readDeviceFilter(new URLSearchParams("q=a&group=b&only=nonsense"))).toEqual({ text: "a", group: "b", only: "all" });
    expect(groupsOf(devices)).toEqual(["bar", "stage"]);
  });

  it("says where another bundle is desired than the device reports", () => {
    expect(differs(device("a"))).toBe(false);
    expect(differs(device("a", { running: bundle }))).toBe(false);
    expect(differs(device("a", { running: bundle, expected: bundle }))).toBe(false);
    expect(differs(device("a", { running: { bundle_sha256: "b".repeat(64) }, expected: bundle }))).toBe(true);
  });
});

describe("credentials", () => {
  const servers = { nats_url: "tls://host:4222", mqtt_url: "mqtts://host:8883", ca: "-----BEGIN" };

  it("are files as the command line writes them", () => {
    const files = credentialFiles({ credentials: [{ device_id: "a", transport: "nats", secret: "SECRET" }, { device_id: "b", transport: "mqtt", client_id: "c1", user: "u", secret: "p" }], trusted_keys: "{}", servers });
    expect(files.map(({ name }) => name)).toEqual(["a.creds", "b.mqtt.json", "trusted-keys.json", "server.json", "ca.pem"]);
    expect(files[0]?.text).toBe("SECRET\n# The server is tls://host:4222\n# Its certificate leads back to the CA in ca.pem, which lies beside this file.\n");
    expect(JSON.parse(files[1]?.text ?? "")).toEqual({ client_id: "c1", user: "u", password: "p", host: "host", port: 8883, tls: true, ca: "-----BEGIN" });
  });

  it("are asked for by ids that devices may have", () => {
    expect(readIds("a\n b,b  c_1-2 ")).toEqual(["a", "b", "c_1-2"]);
    expect(readIds(" \n")).toBeUndefined();
    expect(readIds("good bad.id")).toBeUndefined();
  });
});
