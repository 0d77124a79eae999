import { useEffect, useRef } from "react";
import { areShortcutsOn, isForPage } from "../../../app/shortcuts/settings";

/** Undoes and redoes by Ctrl or Command with Z, Shift Z and Y, but never while someone types. */
export function useUndoKeys(isOn: boolean, run: (step: "undo" | "redo") => void): void {
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  useEffect(() => {
    if (!isOn) return undefined;
    const press = (event: KeyboardEvent): void => {
      if (!areShortcutsOn() || !isForPage(event) || !(event.ctrlKey || event.metaKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      latest.current(key === "y" || event.shiftKey ? "redo" : "undo");
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [isOn]);
}
