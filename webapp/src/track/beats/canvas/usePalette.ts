import { useEffect, useState, type RefObject } from "react";
import { readPalette, type Palette } from "./paint/palette";

/** Return the colours for a canvas; another object when the theme changes. Null before the first paint. */
export function usePalette(element: RefObject<HTMLElement | null>): Palette | null {
  const [palette, setPalette] = useState<Palette | null>(null);
  useEffect(() => {
    const read = (): void => {
      const parent = element.current?.parentElement;
      if (parent) setPalette(readPalette(parent));
    };
    read();
    const observer = new MutationObserver(read);
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: light)");
    system.addEventListener("change", read);
    return () => {
      observer.disconnect();
      system.removeEventListener("change", read);
    };
  }, [element]);
  return palette;
}
