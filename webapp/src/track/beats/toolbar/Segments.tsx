import { cx } from "../../../ui";

export interface SegmentsProps<Id extends string> {
  label: string;
  options: readonly { readonly id: Id; readonly label: string; readonly disabled?: boolean }[];
  selected: Id;
  onSelect: (id: Id) => void;
}

/** A choice of one of a few, side by side. */
export function Segments<Id extends string>({ label, options, selected, onSelect }: SegmentsProps<Id>) {
  return (
    <div role="radiogroup" aria-label={label} className="inline-flex h-7 shrink-0 items-center rounded border border-line bg-bg p-0.5">
      {options.map((option) => (
        <button
          key={option.id}
          type="button"
          role="radio"
          aria-checked={option.id === selected}
          disabled={option.disabled}
          onClick={() => onSelect(option.id)}
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
