/** Reads the colours of the design system for use on a canvas. */

export interface Palette {
  readonly background: string;
  readonly lane: string;
  readonly line: string;
  readonly text: string;
  readonly soft: string;
  readonly muted: string;
  readonly accent: string;
  readonly warn: string;
  readonly danger: string;
  readonly font: string;
  /** Pixels of an image, in the byte order of this machine. */
  readonly pixels: { readonly background: number; readonly wave: number; readonly core: number; readonly middle: number };
  readonly ok: string;
}

type Rgb = readonly [number, number, number];

/** Return the colours that hold for an element, in the theme that is on. */
export function readPalette(element: HTMLElement): Palette {
  const names = ["bg", "panel", "line-strong", "text", "soft", "muted", "accent", "warn", "danger", "ok"] as const;
  // A probe of its own for each: on one that changes, the transitions of reduced motion would show the colour before.
  // All are there before the first is read, so that the browser computes styles once.
  const probes = document.createElement("span");
  for (const name of names) probes.append(Object.assign(document.createElement("span"), { style: `color: var(--k1-${name})` }));
  element.append(probes);
  const [bg = "", panel = "", line = "", text = "", soft = "", muted = "", accent = "", warn = "", danger = "", ok = ""] = [...probes.children].map(
    (probe) => getComputedStyle(probe).color,
  );
  probes.remove();
  const font = getComputedStyle(element).fontFamily;
  const background = parseColour(bg);
  return {
    background: bg,
    lane: panel,
    line,
    text,
    soft,
    muted,
    accent,
    warn,
    danger,
    font,
    pixels: {
      background: pack(background),
      wave: pack(mix(parseColour(accent), background, 0.3)),
      core: pack(mix(parseColour(accent), background, 0.5)),
      middle: pack(mix(parseColour(line), background, 0.7)),
    },
    ok,
  };
}

/** Return a colour with an opacity. */
export function withAlpha(colour: string, alpha: number): string {
  const [red, green, blue] = parseColour(colour);
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

/** Return the red, green and blue of `rgb(...)`; black for anything else. */
export function parseColour(colour: string): Rgb {
  const [red = 0, green = 0, blue = 0] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return [red, green, blue];
}

function mix([red, green, blue]: Rgb, under: Rgb, share: number): Rgb {
  const blend = (over: number, below: number): number => Math.round(over * share + below * (1 - share));
  return [blend(red, under[0]), blend(green, under[1]), blend(blue, under[2])];
}

function pack([red, green, blue]: Rgb): number {
  return new Uint32Array(new Uint8Array([red, green, blue, 255]).buffer)[0] ?? 0;
}
