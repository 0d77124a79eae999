/** Says what each key does in the editor. Pure; `shortcuts.test.ts` proves that no two commands share a key. */

export type Command =
  | "play"
  | "previous"
  | "next"
  | "extend_previous"
  | "extend_next"
  | "previous_bar"
  | "next_bar"
  | "first"
  | "last"
  | "nudge_earlier"
  | "nudge_later"
  | "nudge_earlier_fine"
  | "nudge_later_fine"
  | "insert"
  | "delete"
  | "set_downbeat"
  | "toggle_downbeat"
  | "half"
  | "half_other"
  | "double"
  | "anchor"
  | "lock"
  | "fill"
  | "tap"
  | "undo"
  | "redo"
  | "save"
  | "select_all"
  | "select_from_here"
  | "clear"
  | "zoom_in"
  | "zoom_out"
  | "zoom_fit"
  | "zoom_selection"
  | "gain_up"
  | "gain_down"
  | "follow"
  | "metronome"
  | "loop";

/** A key as `[modifiers+]name`; Mod is Ctrl, or Command on a Mac. */
export const KEYS: Readonly<Record<Command, readonly string[]>> = {
  play: ["Space"],
  previous: ["ArrowLeft"],
  next: ["ArrowRight"],
  extend_previous: ["Shift+ArrowLeft"],
  extend_next: ["Shift+ArrowRight"],
  previous_bar: ["Mod+ArrowLeft"],
  next_bar: ["Mod+ArrowRight"],
  first: ["Home"],
  last: ["End"],
  nudge_earlier: [",", "Alt+ArrowLeft"],
  nudge_later: [".", "Alt+ArrowRight"],
  nudge_earlier_fine: ["Shift+,", "Shift+<"],
  nudge_later_fine: ["Shift+.", "Shift+>"],
  insert: ["I"],
  delete: ["Delete", "Backspace"],
  set_downbeat: ["B"],
  toggle_downbeat: ["Shift+B"],
  half: ["["],
  half_other: ["Shift+[", "Shift+{"],
  double: ["]"],
  anchor: ["G"],
  lock: ["Q"],
  fill: ["F"],
  tap: ["T"],
  undo: ["Mod+Z"],
  redo: ["Mod+Shift+Z", "Mod+Y"],
  save: ["Mod+S"],
  select_all: ["Mod+A"],
  select_from_here: ["Shift+End"],
  clear: ["Escape"],
  zoom_in: ["+", "="],
  zoom_out: ["-"],
  zoom_fit: ["0"],
  zoom_selection: ["Z"],
  gain_up: ["ArrowUp"],
  gain_down: ["ArrowDown"],
  follow: ["Shift+F"],
  metronome: ["M"],
  loop: ["O"],
};

const COMMANDS = new Map<string, Command>();
for (const [command, keys] of Object.entries(KEYS) as [Command, readonly string[]][]) {
  for (const key of keys) COMMANDS.set(key, command);
}

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
}

/** Return the command of a key press; null if it has none. */
export function commandOf(press: KeyPress): Command | null {
  const name = press.key === " " ? "Space" : press.key.length === 1 ? press.key.toUpperCase() : press.key;
  const isSign = press.key.length === 1 && !/[a-z]/i.test(press.key);
  const modifiers = [
    press.ctrlKey || press.metaKey ? "Mod+" : "",
    press.altKey ? "Alt+" : "",
    press.shiftKey ? "Shift+" : "",
  ].join("");
  // On some keyboards a sign needs Shift, such as `+`; then Shift is no modifier.
  return COMMANDS.get(modifiers + name) ?? (isSign && press.shiftKey ? COMMANDS.get(name) : undefined) ?? null;
}

/** Return keys as a person reads them. */
export function describeKeys(command: Command, isMac: boolean): string {
  const signs: Record<string, string> = {
    ArrowLeft: "←",
    ArrowRight: "→",
    ArrowUp: "↑",
    ArrowDown: "↓",
    Escape: "Esc",
    Delete: "Del",
    Mod: isMac ? "⌘" : "Ctrl",
  };
  const [first = ""] = KEYS[command];
  return first
    .split(/\+(?=.)/)
    .map((part) => signs[part] ?? part)
    .join(" ");
}
