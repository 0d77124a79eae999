import type { FeedEvent, Schemas } from "../api/types";
import { formatSpan } from "../app/format";
import { activityTexts } from "../texts/activity";
import { deployTexts } from "../texts/fleet/deploy";
import { plainConditions, plainReason } from "../texts/reasons";

const t = activityTexts.events;

export type Kind = "job" | "deployment" | "edit" | "alarm" | "device";
export type Severity = "info" | "good" | "warn" | "bad";

export const KINDS: readonly Kind[] = ["job", "deployment", "edit", "alarm", "device"];

/** A happening as a line of the log. */
export interface ActivityItem {
  id: string;
  at: string;
  kind: Kind;
  severity: Severity;
  text: string;
  detail?: string;
  actor?: string;
  trackId?: string;
  deviceId?: string;
  /** Where the line leads. */
  to?: string;
  /** A stage on the way: it is of no interest once a later line of the same deployment is there. */
  isInterim?: boolean;
}

type Line = Pick<ActivityItem, "kind" | "severity" | "text"> & Partial<ActivityItem>;

/** Returns the line of an event, or undefined for what is no happening: samples and notices of the feed. */
export function toItem(event: FeedEvent): ActivityItem | undefined {
  const line = lineOf(event);
  if (!line || !("id" in event)) return undefined;
  const actor = "actor" in event && event.actor ? { actor: event.actor } : {};
  return { id: event.id, at: event.at, ...actor, ...line };
}

function lineOf(event: FeedEvent): Line | undefined {
  switch (event.type) {
    case "track.created":
      return onTrack("edit", "info", t.created, event.data);
    case "track.uploaded":
      return onTrack("edit", "info", t.uploaded, event.data, event.data.filename);
    case "track.upload_abandoned":
      return onTrack("edit", event.data.reason === "expired" ? "warn" : "info", event.data.reason === "expired" ? t.abandoned : t.duplicate, event.data);
    case "track.edited":
      return onTrack("edit", "info", t.edited(event.data.changed), event.data);
    case "track.deleted":
      return onTrack("edit", "warn", t.deleted, event.data);
    case "track.restored":
      return onTrack("edit", "good", t.restored, event.data);
    case "artefact.deleted":
      return onTrack("edit", "warn", t.artefactDeleted(event.data.name, event.data.version), event.data);
    case "artefact.restored":
      return onTrack("edit", "good", t.artefactRestored(event.data.name, event.data.version), event.data);
    case "storage.alert":
      return { kind: "alarm", severity: event.data.state === "raised" ? "warn" : "good", text: event.data.state === "raised" ? t.storageFull : t.storageCleared, detail: event.data.message };
    case "track.purged":
      return { kind: "edit", severity: "warn", text: t.purged, trackId: event.data.track_id };
    case "beats_updated":
      return beatsLine(event.data);
    case "graph.edited":
      return graphLine(event.data);
    case "graph.simulated":
      return { ...onTrack("edit", "info", t.graphSimulated(event.data.version), event.data), to: graphAddress(event.data) };
    case "analysis.started":
      return onTrack("job", "info", t.started(event.data.version), event.data);
    case "analysis.completed":
      return completedLine(event.data);
    case "analysis.failed":
      return onTrack("job", "bad", t.failed(event.data.version), event.data, event.data.message);
    case "analysis.moved":
      return onTrack("job", "info", t.jobMoved(event.data.version, event.data.priority), event.data);
    case "analysis.cancelled":
      return onTrack("job", "warn", t.cancelled(event.data.version), event.data);
    case "deploy.progressed":
      return progressLine(event.data);
    case "deploy.succeeded":
      return onDeployment("good", t.deployed(event.data.version, event.data.devices.filter(({ outcome }) => outcome === "committed").length), event.data, failures(event.data.devices));
    case "deploy.rolled_back":
      return onDeployment("bad", event.actor ? t.rolledBack(event.data.version) : t.autoRolledBack(event.data.version), event.data, plainConditions(event.data.reason));
    case "deploy.failed":
      return onDeployment("bad", t.deployFailed(event.data.version), event.data, plainConditions(event.data.reason));
    case "device.online":
      return onDevice("device", "info", t.online, event.data.device_id);
    case "device.offline":
      return onDevice("device", event.data.reason === "silence" ? "warn" : "info", t.offline, event.data.device_id, event.data.reason === "silence" ? t.silence : t.bye);
    case "alarm.opened":
      return openedLine(event.data);
    case "alarm.cleared":
      return onDevice("alarm", "good", t.cleared(activityTexts.alarmKinds[event.data.kind]), event.data.device_id, plainReason(event.data.clear_reason ?? event.data.reason));
    case "alarm.acknowledged":
      return onDevice("alarm", "info", t.acknowledged(activityTexts.alarmKinds[event.data.kind]), event.data.device_id, event.data.note ?? plainReason(event.data.reason));
    default:
      return undefined;
  }
}

function onTrack(kind: Kind, severity: Severity, text: string, { track_id }: { track_id: string }, detail?: string): Line {
  return { kind, severity, text, trackId: track_id, to: `/tracks/${track_id}`, ...(detail ? { detail } : {}) };
}

function onDeployment(severity: Severity, text: string, { deployment_id, track_id }: { deployment_id: string; track_id: string }, detail?: string): Line {
  return { kind: "deployment", severity, text, trackId: track_id, to: `/deployments/${deployment_id}`, ...(detail ? { detail } : {}) };
}

function completedLine(data: Schemas["AnalysisCompleted"]): Line {
  const text = data.reused ? t.reused(data.version) : t.completed(data.version, formatSpan(data.elapsed_ms / 1000));
  return onTrack("job", data.warnings.length > 0 ? "warn" : "good", text, data, data.warnings.map(({ message }) => message).join(" "));
}

/** The ends have events of their own, but for a cancellation. */
function progressLine(data: Schemas["DeployProgressed"]): Line | undefined {
  const { status, paused, version } = data;
  if (status === "succeeded" || status === "failed" || status === "rolled_back") return undefined;
  const isNotable = paused || status === "cancelled" || status === "rolling_back" || status === "rollback_pending";
  const line = onDeployment(isNotable ? "warn" : "info", t.deploy(version, paused ? deployTexts.paused : deployTexts.statuses[status]), data);
  return isNotable || status === "queued" || status === "checking" ? line : { ...line, isInterim: true };
}

function onDevice(kind: Kind, severity: Severity, text: string, deviceId: string, detail?: string): Line {
  return { kind, severity, text, deviceId, to: `/devices/${deviceId}`, ...(detail ? { detail } : {}) };
}

function beatsLine(data: Schemas["BeatsOverridden"]): Line {
  const counts = t.beatCounts(data.moved, data.added, data.deleted);
  const line = onTrack("edit", "info", data.removed ? t.beatsRemoved(data.version) : t.beats(data.version), data, data.note ? `${counts}. ${data.note}` : counts);
  return { ...line, actor: data.author.name, to: `/tracks/${data.track_id}?v=${data.version}` };
}

function graphLine(data: Schemas["GraphEdited"]): Line {
  const text = data.previous_version == null ? t.graphEdited(data.version) : t.graphVersion(data.version, data.previous_version);
  return { ...onTrack("edit", "info", text, data), actor: data.author.name, to: graphAddress(data) };
}

function graphAddress({ track_id, version }: { track_id: string; version: number }): string {
  return `/tracks/${track_id}/graph?v=${version}`;
}

/** The highest level is red. An alarm that flaps is opened once, however often its level is reached. */
function openedLine({ device_id, kind, level, flapping, reason }: Schemas["AlarmOpened"]): Line {
  const name = activityTexts.alarmKinds[kind];
  return onDevice("alarm", level === "alarm" ? "bad" : "warn", flapping ? t.flapping(name) : t.raised(name), device_id, plainReason(reason));
}

function failures(devices: readonly Schemas["DeviceResult"][]): string {
  return devices.filter(({ outcome }) => outcome !== "committed").map(({ device_id, reason }) => `${device_id}: ${plainConditions(reason ?? "")}`).join("; ");
}
