/** Return a time as minutes and seconds, with as many digits as the step needs. */
export function formatClock(ms: number, stepMs = 1): string {
  const digits = stepMs >= 1000 ? 0 : stepMs >= 100 ? 1 : stepMs >= 10 ? 2 : 3;
  const tenths = 10 ** digits;
  const total = Math.round((Math.max(0, ms) / 1000) * tenths) / tenths;
  const minutes = Math.floor(total / 60);
  const seconds = (total - 60 * minutes).toFixed(digits);
  return `${minutes}:${digits === 0 ? seconds.padStart(2, "0") : seconds.padStart(digits + 3, "0")}`;
}
