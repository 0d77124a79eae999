import { useEffect, useRef } from "react";
import { areShortcutsOn, isForPage } from "../../app/shortcuts/settings";
import { commandOf, type Command } from "./keys";

const PRESSED = "button, a[href], summary, input[type='checkbox']";
/** These elements use some keys themselves. */
const OWN_KEYS: readonly (readonly [selector: string, keys: RegExp])[] = [
  [PRESSED, /^ $/],
  ["input[type='range'], [role='tab']", /^(Arrow|Home|End|Page)/],
];

/** Runs commands by keys, wherever the focus is, but never while someone types or a menu is open.
 *
 * A button that was clicked does not keep the space bar: it plays again, as if nothing had the focus. For those who
 * reach a button by the keyboard it presses the button.
 */
export function useShortcuts(run: (command: Command) => void, isOn: (command: Command) => boolean): void {
  const latest = useRef({ run, isOn });
  useEffect(() => {
    latest.current = { run, isOn };
  });
  useEffect(() => {
    let clicked: Element | null = null;
    const click = ({ target }: PointerEvent): void => {
      clicked = target instanceof Element ? target.closest(PRESSED) : null;
    };
    const press = (event: KeyboardEvent): void => {
      if (event.key === "Tab") clicked = null;
      if (!areShortcutsOn() || !isForPage(event)) return;
      const target = event.target instanceof Element ? event.target : null;
      if (target instanceof HTMLElement && target === clicked) target.blur();
      else if (OWN_KEYS.some(([selector, keys]) => keys.test(event.key) && target?.matches(selector))) return;
      const command = commandOf(event);
      if (command === null || !latest.current.isOn(command)) return;
      event.preventDefault();
      latest.current.run(command);
    };
    addEventListener("keydown", press);
    addEventListener("pointerdown", click, true);
    return () => {
      removeEventListener("keydown", press);
      removeEventListener("pointerdown", click, true);
    };
  }, []);
}
