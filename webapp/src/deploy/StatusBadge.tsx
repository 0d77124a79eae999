import { Check, CircleAlert, CirclePause, CircleSlash, Clock, LoaderCircle, Undo2 } from "lucide-react";
import type { ReactNode } from "react";
import type { Schemas } from "../api/types";
import { deployTexts as t } from "../texts/fleet/deploy";
import { Badge, type Tone } from "../ui/Badge";

type Status = Schemas["DeploymentStatus"];
type Outcome = Schemas["DeviceOutcome"];
type Look = readonly [Tone, ReactNode];

const icon = { size: 11, "aria-hidden": true } as const;
const MOVING: Look = ["accent", <LoaderCircle key="moving" {...icon} className="animate-[k1-spin_1.2s_linear_infinite]" />];
const WAITING: Look = ["neutral", <Clock key="waiting" {...icon} />];
const GOOD: Look = ["ok", <Check key="good" {...icon} />];
const BACK: Look = ["warn", <Undo2 key="back" {...icon} />];
const BAD: Look = ["danger", <CircleAlert key="bad" {...icon} />];
const OFF: Look = ["neutral", <CircleSlash key="off" {...icon} />];

const STATUS: Record<Status, Look> = {
  queued: WAITING, checking: MOVING, staging: MOVING, activating: MOVING, observing: MOVING, committing: MOVING,
  discarding: MOVING, rolling_back: ["warn", MOVING[1]], rollback_pending: BAD,
  succeeded: GOOD, failed: BAD, rolled_back: BACK, cancelled: OFF,
};
const OUTCOME: Record<Outcome, Look> = {
  pending: WAITING, blocked: BAD, staging: MOVING, staged: ["accent", GOOD[1]], activating: MOVING, active: ["accent", GOOD[1]], committed: GOOD,
  failed: BAD, discarded: OFF, rolling_back: ["warn", MOVING[1]], rolled_back: BACK, rollback_pending: BAD,
};

/** Where a deployment is. */
export function StatusBadge({ status, paused }: { status: Status; paused: boolean }) {
  const [tone, mark] = paused ? (["warn", <CirclePause key="paused" {...icon} />] as const) : STATUS[status];
  return <Badge tone={tone} icon={mark}>{paused ? `${t.paused} · ${t.statuses[status]}` : t.statuses[status]}</Badge>;
}

/** Where a device is within a deployment. */
export function OutcomeBadge({ outcome, percent }: { outcome: Outcome; percent?: number | null | undefined }) {
  const [tone, mark] = OUTCOME[outcome];
  return <Badge tone={tone} icon={mark}>{t.outcomes[outcome]}{outcome === "staging" && percent != null ? ` ${Math.round(percent)} %` : ""}</Badge>;
}
