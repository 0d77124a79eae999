import { ArrowDownWideNarrow, Bookmark, Search, SlidersHorizontal, X } from "lucide-react";
import { useEffect, useState } from "react";
import { setSearch } from "../app/router";
import { common } from "../texts/common";
import { library as t } from "../texts/library";
import { Button, IconButton } from "../ui/Button";
import { cx } from "../ui/cx";
import { Dialog } from "../ui/Dialog";
import { INPUT, TextField } from "../ui/Field";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "../ui/Menu";
import { FilterPanel } from "./FilterPanel";
import { countFilters, SORTS, writeFilters, type Filters } from "./filters";
import { BUILT_IN, removeView, saveView, useSavedViews } from "./views";

/** The head of the list: search, views, filters, sort. All of it stands in the address. */
export function LibraryToolbar({ filters, total }: { filters: Filters; total: number | undefined }) {
  const [isFiltering, setFiltering] = useState(countFilters(filters) > 0);
  const [isNaming, setNaming] = useState(false);
  const views = useSavedViews();
  const count = countFilters(filters);
  return (
    <div className="@container shrink-0 border-b border-line">
      <div className="flex items-center gap-1.5 p-2">
        <SearchBox search={filters.search} />
        <ViewTabs filters={filters} />
        <p role="status" className="mr-1 ml-auto hidden text-xs text-muted @2xl:block">{describeCount(total)}</p>
        <Menu trigger={<IconButton label={t.views}><Bookmark size={15} aria-hidden /></IconButton>}>
          <MenuLabel>{t.views}</MenuLabel>
          {BUILT_IN.map((view) => (
            <MenuItem key={view.name} checked={isSame(view.filters, filters)} onSelect={() => setSearch(writeFilters(view.filters))}>{view.name}</MenuItem>
          ))}
          {views.length > 0 && <MenuSeparator />}
          {views.map((view) => (
            <MenuItem key={view.name} checked={isSame(view.filters, filters)} onSelect={() => setSearch(writeFilters(view.filters))}>{view.name}</MenuItem>
          ))}
          <MenuSeparator />
          <MenuItem onSelect={() => setNaming(true)}>{t.saveView}</MenuItem>
          {views.filter((view) => isSame(view.filters, filters)).map(({ name }) => (
            <MenuItem key={name} danger onSelect={() => removeView(name)}>{t.removeView(name)}</MenuItem>
          ))}
        </Menu>
        <IconButton label={t.activeFilters(count)} active={isFiltering || count > 0} aria-expanded={isFiltering} onClick={() => setFiltering(!isFiltering)}>
          <SlidersHorizontal size={15} aria-hidden />
        </IconButton>
        <Menu trigger={<IconButton label={`${t.sort}: ${t.sorts[filters.sort]}`}><ArrowDownWideNarrow size={15} aria-hidden /></IconButton>}>
          <MenuLabel>{t.sort}</MenuLabel>
          {SORTS.map((sort) => (
            <MenuItem key={sort} checked={sort === filters.sort} onSelect={() => setSearch(writeFilters({ ...filters, sort }))}>{t.sorts[sort]}</MenuItem>
          ))}
        </Menu>
      </div>
      {isFiltering && <FilterPanel filters={filters} />}
      <p className="px-3 pb-1.5 text-2xs text-muted @2xl:hidden">{describeCount(total)}</p>
      {isNaming && <NameDialog filters={filters} onClose={() => setNaming(false)} />}
    </div>
  );
}

function describeCount(total: number | undefined): string {
  return total === undefined ? common.loading : t.count(total);
}

/** The built-in views, where there is room for them. */
function ViewTabs({ filters }: { filters: Filters }) {
  return (
    <div role="group" aria-label={t.views} className="hidden gap-0.5 @3xl:flex">
      {BUILT_IN.map((view) => {
        const isCurrent = isSame({ ...view.filters, sort: filters.sort }, filters);
        return (
          <button
            key={view.name}
            type="button"
            aria-pressed={isCurrent}
            onClick={() => setSearch(writeFilters({ ...view.filters, sort: filters.sort }))}
            className={cx("touch-target h-8 rounded px-2.5 text-sm whitespace-nowrap", isCurrent ? "bg-hover font-medium" : "text-muted hover:bg-raised hover:text-text")}
          >
            {view.name}
          </button>
        );
      })}
    </div>
  );
}

function SearchBox({ search }: { search: string }) {
  const [text, setText] = useState(search);
  useEffect(() => setText(search), [search]);
  useEffect(() => {
    if (text === search) return undefined;
    const timer = setTimeout(() => setSearch({ q: text }), 180);
    return () => clearTimeout(timer);
  }, [text, search]);
  return (
    <div className="relative min-w-0 flex-1 @2xl:max-w-xs">
      <Search size={14} aria-hidden className="absolute top-1/2 left-2.5 -translate-y-1/2 text-muted" />
      <input
        id="library-search"
        type="search"
        value={text}
        aria-label={t.searchLabel}
        placeholder={t.searchPlaceholder}
        maxLength={200}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && (text ? setText("") : event.currentTarget.blur())}
        className={cx(INPUT, "pr-8 pl-8 [&::-webkit-search-cancel-button]:hidden")}
      />
      {text && (
        <IconButton size="sm" label={t.clearFilters} onClick={() => setText("")} className="absolute top-1/2 right-0.5 -translate-y-1/2">
          <X size={14} aria-hidden />
        </IconButton>
      )}
    </div>
  );
}

function NameDialog({ filters, onClose }: { filters: Filters; onClose: () => void }) {
  const [name, setName] = useState("");
  const save = () => {
    if (name.trim() === "") return;
    saveView({ name: name.trim(), filters });
    onClose();
  };
  return (
    <Dialog open onOpenChange={onClose} title={t.saveView} footer={<><Button onClick={onClose}>{common.cancel}</Button><Button tone="primary" disabled={name.trim() === ""} onClick={save}>{common.save}</Button></>}>
      <TextField label={t.viewName} value={name} maxLength={40} autoFocus onChange={(event) => setName(event.target.value)} onKeyDown={(event) => event.key === "Enter" && save()} />
    </Dialog>
  );
}

function isSame(one: Filters, other: Filters): boolean {
  return JSON.stringify(writeFilters(one)) === JSON.stringify(writeFilters(other));
}
