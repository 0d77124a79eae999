import { useEffect, useRef } from "react";
import { areShortcutsOn, isForPage } from "../../app/shortcuts/settings";
import { commandOf, type Command } from "./keys";

/** These elements use some keys themselves. */
const OWN_KEYS: readonly (readonly [selector: string, keys: RegExp])[] = [
  ["button, a[href], summary, input[type='checkbox']", /^ $/],
  ["input[type='range'], [role='tab']", /^(Arrow|Home|End|Page)/],
];

/** Runs commands by keys, wherever the focus is, but never while someone types or a menu is open. */
export function useShortcuts(run: (command: Command) => void, isOn: (command: Command) => boolean): void {
  const latest = useRef({ run, isOn });
  useEffect(() => {
    latest.current = { run, isOn };
  });
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (!areShortcutsOn() || !isForPage(event)) return;
      const target = event.target instanceof Element ? event.target : null;
      if (OWN_KEYS.some(([selector, keys]) => keys.test(event.key) && target?.matches(selector))) return;
      const command = commandOf(event);
      if (command === null || !latest.current.isOn(command)) return;
      event.preventDefault();
      latest.current.run(command);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
