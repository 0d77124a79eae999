/** Says in plain words why something happened. The API has the raw condition of an alarm, such as `temp_c > 80`. */
import { telemetryTexts } from "./fleet/telemetry";

const CONDITION = /\b(drift_ms|temp_c|fps) (>=|<=|>|<) (-?\d+(?:\.\d+)?)(?: for (\d+)s)?/g;
const SILENCE = /\bsilent for (\d+)s\b/g;
const SIGNS = { ">": "above", "<": "below", ">=": "at least", "<=": "at most" };

/** Returns the text with plain words for each condition, for example `drift alarm: drift above 100 ms for 5 s`. */
export function plainConditions(text: string): string {
  return text
    .replace(CONDITION, (_, name: "drift_ms" | "temp_c" | "fps", sign: keyof typeof SIGNS, bound: string, seconds?: string) => {
      const condition = `${telemetryTexts.values[name].toLowerCase()} ${SIGNS[sign]} ${bound} ${telemetryTexts.units[name]}`;
      return seconds ? `${condition} for ${seconds} s` : condition;
    })
    .replace(SILENCE, "silent for $1 s");
}

/** Returns the reason of an alarm as a phrase of its own, for example `Temperature above 80 °C`. */
export function plainReason(reason: string): string {
  const plain = plainConditions(reason);
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
