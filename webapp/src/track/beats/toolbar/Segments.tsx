import type { KeyboardEvent } from "react";
import { cx } from "../../../ui";

export interface SegmentsProps<Id extends string> {
  label: string;
  options: readonly { readonly id: Id; readonly label: string; readonly disabled?: boolean }[];
  selected: Id;
  onSelect: (id: Id) => void;
}

/** A choice of one of a few, side by side. Tab reaches it as one, and arrow keys choose. */
export function Segments<Id extends string>({ label, options, selected, onSelect }: SegmentsProps<Id>) {
  const possible = options.filter(({ disabled }) => !disabled);
  const reached = possible.find(({ id }) => id === selected) ?? possible[0];

  const move = (event: KeyboardEvent<HTMLDivElement>): void => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined || reached === undefined || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const next = possible[(possible.indexOf(reached) + by + possible.length) % possible.length] ?? reached;
    event.preventDefault();
    event.currentTarget.querySelector<HTMLElement>(`[data-option="${next.id}"]`)?.focus();
    onSelect(next.id);
  };

  return (
    <div role="radiogroup" aria-label={label} onKeyDown={move} className="inline-flex h-7 shrink-0 items-center rounded border border-line bg-bg p-0.5">
      {options.map((option) => (
        <button
          key={option.id}
          type="button"
          role="radio"
          data-option={option.id}
          aria-checked={option.id === selected}
          tabIndex={option === reached ? 0 : -1}
          disabled={option.disabled}
          onClick={(event) => {
            onSelect(option.id);
            // After a click arrow keys go on in the song; only those who came by the keyboard stay here.
            if (event.detail > 0) event.currentTarget.blur();
          }}
          className={cx(
            "touch-target flex h-full items-center justify-center rounded-sm px-2 text-xs whitespace-nowrap disabled:opacity-40",
            option.id === selected ? "bg-hover font-medium text-text" : "text-muted hover:text-text",
          )}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}
