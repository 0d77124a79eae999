import type { Schemas } from "../../api/types";

type Outcome = Schemas["DeviceOutcome"];

/** How far a device is, in percent, by its outcome so far. */
const SHARES: Record<Outcome, number> = {
  pending: 0, staging: 15, staged: 40, activating: 55, active: 75, rolling_back: 50,
  committed: 100, blocked: 100, failed: 100, discarded: 100, rolled_back: 100, rollback_pending: 100,
};

/** Returns how many devices are done with, one way or the other, and how far all are together. */
export function progressOf(outcomes: readonly Outcome[]): { done: number; percent: number } {
  const shares = outcomes.map((outcome) => SHARES[outcome]);
  const sum = shares.reduce((total, share) => total + share, 0);
  return { done: shares.filter((share) => share === 100).length, percent: sum / Math.max(1, outcomes.length) };
}
