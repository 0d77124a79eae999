import type { Schemas } from "../../api/types";

type View = Schemas["DeploymentView"];
type Change = Schemas["DeploymentChange"];
type Step = Schemas["StepView"];

/**
 * Returns a deployment after a change that the live feed told.
 *
 * Changes may come twice or late: a change from before the view was made changes nothing that is newer.
 */
export function mergeChange(view: View, change: Change): View {
  if (change.deployment_id !== view.id) return view;
  const isNewer = change.at >= view.updated_at;
  const head = isNewer ? { ...view, status: change.status, paused: change.paused, updated_at: change.at } : view;
  if (!change.device_id) return head;
  return { ...head, devices: head.devices.map((device) => (device.device_id === change.device_id ? mergeDevice(device, change, isNewer) : device)) };
}

function mergeDevice(device: View["devices"][number], change: Change, isNewer: boolean): View["devices"][number] {
  return {
    ...device,
    ...(isNewer && change.outcome ? { outcome: change.outcome } : {}),
    ...(isNewer && change.percent != null ? { percent: change.percent } : {}),
    steps: change.step ? mergeStep(device.steps, change.step) : device.steps,
  };
}

/** A step that has ended does not run again: only a new attempt or a new start does. */
function mergeStep(steps: readonly Step[], step: Step): Step[] {
  const index = steps.findIndex((each) => each.step === step.step && each.started_at === step.started_at);
  if (index < 0) return [...steps, step].sort((one, other) => (one.started_at < other.started_at ? -1 : 1));
  const known = steps[index];
  if (known && known.ended_at && !step.ended_at) return [...steps];
  return steps.map((each, at) => (at === index ? step : each));
}
