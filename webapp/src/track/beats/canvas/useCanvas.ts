import { useCallback, useEffect, useRef, type RefObject } from "react";

/** What a paint function gets; the context is scaled to CSS pixels. */
export interface Surface {
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
  /** Device pixels for each CSS pixel. */
  readonly scale: number;
}

/** Paints a canvas at most once a frame: after each render, when its size changes, and when `invalidate` is called. */
export function useCanvas(paint: (surface: Surface) => void): {
  readonly canvas: RefObject<HTMLCanvasElement | null>;
  readonly invalidate: () => void;
} {
  const canvas = useRef<HTMLCanvasElement>(null);
  const latest = useRef(paint);
  const frame = useRef(0);
  /** In CSS pixels, from the observer: to ask the element would make the browser lay out the page in between. */
  const size = useRef({ width: 0, height: 0 });

  const invalidate = useCallback(() => {
    if (frame.current !== 0) return;
    frame.current = requestAnimationFrame(() => {
      frame.current = 0;
      const element = canvas.current;
      const context = element?.getContext("2d");
      const { width, height } = size.current;
      if (!element || !context || width === 0) return;
      const scale = window.devicePixelRatio || 1;
      const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
      if (element.width !== wide || element.height !== high) [element.width, element.height] = [wide, high];
      context.setTransform(scale, 0, 0, scale, 0, 0);
      latest.current({ context, width, height, scale });
    });
  }, []);

  useEffect(() => {
    latest.current = paint;
    invalidate();
  });
  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) size.current = { width: Math.round(entry.contentRect.width), height: Math.round(entry.contentRect.height) };
      invalidate();
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      cancelAnimationFrame(frame.current);
      frame.current = 0;
    };
  }, [invalidate]);
  return { canvas, invalidate };
}
