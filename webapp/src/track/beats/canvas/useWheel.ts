import { useEffect, type RefObject } from "react";
import { changeView, type Timeline } from "./timeline";
import { panBy, spanOf, xToTime, zoomAt } from "./view";

const WHEEL_ZOOM = 0.0022;

/** Zooms with the wheel at the pointer, and moves the view with a sideways wheel or Shift. React's own handler cannot
 * keep the page from scrolling. */
export function useWheel(canvas: RefObject<HTMLCanvasElement | null>, timeline: Timeline, onPan: () => void): void {
  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const turn = (event: globalThis.WheelEvent): void => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const sideways = (event.shiftKey ? event.deltaY || event.deltaX : event.deltaX) * lines;
      const isPan = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (isPan) onPan();
      changeView(timeline, (view, durationMs) =>
        isPan
          ? panBy(view, (sideways / box.width) * spanOf(view), durationMs)
          : zoomAt(view, Math.exp(-event.deltaY * lines * WHEEL_ZOOM), xToTime(view, box.width, event.clientX - box.left), durationMs),
      );
    };
    element.addEventListener("wheel", turn, { passive: false });
    return () => element.removeEventListener("wheel", turn);
  }, [canvas, timeline, onPan]);
}
