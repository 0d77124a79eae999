import type { Schemas } from "../../api/types";

/** The choices of the sheet, as they stand in its fields. */
export interface OrderForm {
  deviceIds: readonly string[];
  canary: number;
  /** Devices that change together; undefined: all that are left. */
  batchSize: number | undefined;
  maxFailures: number;
  /** Whether `maxFailures` is a share of the devices. */
  inPercent: boolean;
  observeSeconds: number;
  /** How far the first batch may drift, in ms; undefined: it is not measured. */
  maxDriftMs: number | undefined;
  /** For so many bars. */
  driftBars: number;
  when: "now" | "time" | "downbeat";
  /** A local time, as `<input type="datetime-local">` gives it. */
  at: string;
  /** The song that plays, and since when. */
  playing: { trackId: string; version: number; startedAt: string } | undefined;
  overrides: readonly Schemas["GateOverride"][];
}

export type OrderFault = "devices" | "canary" | "batchSize" | "maxFailures" | "observeSeconds" | "maxDriftMs" | "driftBars" | "at" | "playing";

export const LEAST_REASON = 10;

/** What a new order begins with: one device first, then the others; the first failure ends it. */
export function newOrder(deviceIds: readonly string[] = []): OrderForm {
  return { deviceIds, canary: 1, batchSize: undefined, maxFailures: 0, inPercent: false, observeSeconds: 10, maxDriftMs: undefined, driftBars: 8, when: "now", at: "", playing: undefined, overrides: [] };
}

/** Returns which choices cannot be sent as they are. */
export function faultsOf(form: OrderForm, now = Date.now()): OrderFault[] {
  const faults: OrderFault[] = [];
  if (form.deviceIds.length === 0) faults.push("devices");
  if (!isCount(form.canary, 0)) faults.push("canary");
  if (form.batchSize !== undefined && !isCount(form.batchSize, 1)) faults.push("batchSize");
  if (!isCount(form.maxFailures, 0) || (form.inPercent && form.maxFailures > 100)) faults.push("maxFailures");
  if (!(form.observeSeconds >= 0 && form.observeSeconds <= 3600)) faults.push("observeSeconds");
  if (form.maxDriftMs !== undefined && !(form.maxDriftMs > 0 && form.maxDriftMs <= 1000)) faults.push("maxDriftMs");
  if (form.maxDriftMs !== undefined && !(isCount(form.driftBars, 1) && form.driftBars <= 256)) faults.push("driftBars");
  if (form.when === "time" && !(Date.parse(form.at) > now)) faults.push("at");
  if (form.when === "downbeat" && !form.playing) faults.push("playing");
  return faults;
}

/** Returns the body of the request for the choices, which must be without faults. */
export function orderBody(form: OrderForm, trackId: string, version: number): Schemas["DeploymentBody"] {
  return {
    track_id: trackId,
    version,
    device_ids: [...form.deviceIds],
    strategy: {
      canary: form.canary,
      batch_size: form.batchSize ?? null,
      max_failures: form.inPercent ? `${form.maxFailures}%` : form.maxFailures,
      observe_seconds: form.observeSeconds,
      quality: form.maxDriftMs === undefined ? null : { max_drift_ms: form.maxDriftMs, bars: form.driftBars },
    },
    activation: activationOf(form),
    overrides: [...form.overrides],
  };
}

function activationOf(form: OrderForm): NonNullable<Schemas["DeploymentBody"]["activation"]> {
  if (form.when === "time") return { when: "time", at: new Date(form.at).toISOString() };
  if (form.when === "downbeat" && form.playing) {
    const { trackId, version, startedAt } = form.playing;
    return { when: "downbeat", track_id: trackId, version, started_at: startedAt };
  }
  return { when: "now" };
}

/** Adds an override of a gate, or replaces the one there is; without a reason it is taken away. */
export function withOverride(overrides: OrderForm["overrides"], gate: Schemas["Gate"], deviceId: string | undefined, reason: string | undefined): OrderForm["overrides"] {
  const others = overrides.filter((each) => each.gate !== gate || (each.device_id ?? undefined) !== deviceId);
  return reason === undefined ? others : [...others, { gate, device_id: deviceId ?? null, reason }];
}

/** Returns the sizes of the batches that a strategy makes of so many devices, canary first. */
export function batchSizes(count: number, canary: number, batchSize: number | undefined): number[] {
  const first = Math.min(canary, count);
  const sizes = first > 0 ? [first] : [];
  const size = Math.max(1, batchSize ?? count);
  for (let rest = count - first; rest > 0; rest -= size) sizes.push(Math.min(size, rest));
  return sizes;
}

function isCount(value: number, least: number): boolean {
  return Number.isInteger(value) && value >= least;
}
