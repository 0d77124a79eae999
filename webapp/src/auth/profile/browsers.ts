const BROWSERS: readonly (readonly [name: string, sign: RegExp])[] = [
  ["Edge", /Edg\//],
  ["Opera", /OPR\//],
  ["Firefox", /Firefox\//],
  ["Chrome", /Chrome\//],
  ["Safari", /Safari\//],
];
const SYSTEMS: readonly (readonly [name: string, sign: RegExp])[] = [
  ["Android", /Android/],
  ["iOS", /iPhone|iPad/],
  ["Windows", /Windows/],
  ["macOS", /Mac OS/],
  ["Linux", /Linux/],
];

/** Returns the name of a browser and its system as people say it; other programs keep the start of what they call themselves. */
export function nameBrowser(userAgent: string | null | undefined): string | undefined {
  if (!userAgent) return undefined;
  const find = (table: typeof BROWSERS): string | undefined => table.find(([, sign]) => sign.test(userAgent))?.[0];
  const browser = find(BROWSERS);
  if (!browser) return userAgent.split(" ")[0]?.slice(0, 40);
  const system = find(SYSTEMS);
  return system ? `${browser}, ${system}` : browser;
}
