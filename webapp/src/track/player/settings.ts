/** Keeps how someone listens, for all tracks and visits: volumes, and the delay of the speakers. */

export interface PlayerSettings {
  readonly volume: number;
  readonly clickVolume: number;
  /** How much later the sound is heard than the system reports, for instance over Bluetooth. */
  readonly offsetMs: number;
}

const KEY = "k1.player";

/** Keep the settings. */
export function keepSettings({ volume, clickVolume, offsetMs }: PlayerSettings): void {
  const text = JSON.stringify({ volume, clickVolume, offsetMs });
  try {
    if (localStorage.getItem(KEY) !== text) localStorage.setItem(KEY, text);
  } catch {
    // Without room in the storage the player begins with its usual settings.
  }
}

/** Return the settings that were kept, as far as they are usable. */
export function readSettings(): Partial<PlayerSettings> {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Record<keyof PlayerSettings, unknown>>;
    const number = (name: keyof PlayerSettings, low: number, high: number): Partial<PlayerSettings> => {
      const value = kept[name];
      return typeof value === "number" && value >= low && value <= high ? { [name]: value } : {};
    };
    return { ...number("volume", 0, 1), ...number("clickVolume", 0, 1), ...number("offsetMs", -1000, 1000) };
  } catch {
    return {};
  }
}
