import { useEffect, useRef, type KeyboardEvent, type ReactNode } from "react";
import { cx } from "./cx";

export interface Tab<Id extends string> {
  id: Id;
  label: string;
  icon?: ReactNode;
}

export interface TabsProps<Id extends string> {
  /** Names the list for screen readers. */
  label: string;
  tabs: readonly Tab<Id>[];
  selected: Id;
  onSelect: (id: Id) => void;
}

/** A row of tabs. The panel carries `id={panelId(id)}`, `role="tabpanel"` and `aria-labelledby={tabId(id)}`. */
export function Tabs<Id extends string>({ label, tabs, selected, onSelect }: TabsProps<Id>) {
  const list = useRef<HTMLDivElement>(null);

  useEffect(() => {
    // Where not all tabs fit, the selected one is seen.
    const tab = list.current?.querySelector<HTMLElement>(`#${tabId(selected)}`);
    if (list.current && tab) list.current.scrollLeft = tab.offsetLeft - (list.current.clientWidth - tab.offsetWidth) / 2;
  }, [selected]);

  const move = (event: KeyboardEvent) => {
    const index = tabs.findIndex((tab) => tab.id === selected);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const target = step
      ? tabs[(index + step + tabs.length) % tabs.length]
      : { Home: tabs[0], End: tabs[tabs.length - 1] }[event.key];
    if (!target) return;
    event.preventDefault();
    event.stopPropagation();
    onSelect(target.id);
    list.current?.querySelector<HTMLElement>(`#${tabId(target.id)}`)?.focus();
  };

  return (
    <div ref={list} role="tablist" aria-label={label} onKeyDown={move} className="flex overflow-x-auto border-b border-line px-2">
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          id={tabId(tab.id)}
          aria-selected={tab.id === selected}
          tabIndex={tab.id === selected ? 0 : -1}
          onClick={() => onSelect(tab.id)}
          className={cx(
            "touch-target -mb-px flex h-9 shrink-0 items-center gap-1.5 border-b-2 px-3 text-sm -outline-offset-2",
            tab.id === selected ? "border-accent font-medium text-text" : "border-transparent text-muted hover:text-text",
          )}
        >
          {tab.icon}
          {tab.label}
        </button>
      ))}
    </div>
  );
}

/** Returns the element id of a tab. */
export function tabId(id: string): string {
  return `tab-${id}`;
}

/** Returns the element id of a tab's panel. */
export function panelId(id: string): string {
  return `panel-${id}`;
}
