import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useRef, useState, type KeyboardEvent, type MouseEvent } from "react";
import type { TrackListQuery } from "../../api/queries";
import type { TrackSummary } from "../../api/types";
import { common } from "../../texts/common";
import { library as t } from "../../texts/library";
import { cx } from "../../ui/cx";
import { Checkbox } from "../../ui/Field";
import { ErrorState } from "../../ui/states";
import { LibraryEmpty } from "../LibraryEmpty";
import { extend, toggle, toggleAll, type Selection } from "./selection";
import { TrackMenu } from "./TrackMenu";
import { GRID, NARROW, ROW_HEIGHT, TrackRow, WaitingCells, WIDE } from "./TrackRow";
import { useFirstPage, useLoadedTracks } from "./useTrackList";

export interface TrackListViewProps {
  query: TrackListQuery;
  /** Whether nothing hides tracks: decides what an empty list says. */
  showsAll: boolean;
  openTrackId: string | undefined;
  selection: Selection;
  mayEdit: boolean;
  onSelection: (change: (selection: Selection) => Selection) => void;
  onOpen: (track: TrackSummary) => void;
  onHover: (track: TrackSummary) => void;
  onTotal: (total: number | undefined) => void;
  onDelete: (trackIds: readonly string[]) => void;
}

/** The list of tracks: only visible rows exist, only their pages are loaded. */
export function TrackListView(props: TrackListViewProps) {
  const { query, openTrackId, selection, mayEdit, onSelection, onOpen, onHover, onTotal } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const [editing, setEditing] = useState<string>();
  const [menu, setMenu] = useState<{ track: TrackSummary; button: HTMLElement }>();
  const first = useFirstPage(query);
  const total = first.data?.total ?? 0;

  const virtualizer = useVirtualizer({
    count: total,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 6,
  });
  const rows = virtualizer.getVirtualItems();
  const list = useLoadedTracks(query, first.data, rows);

  useEffect(() => onTotal(first.data?.total), [first.data?.total, onTotal]);

  const queryKey = JSON.stringify(query);
  useEffect(() => {
    setActive(0);
    scroller.current?.scrollTo({ top: 0 });
  }, [queryKey]);

  // The rows are memoised, so what they call must stay the same while what it reads changes.
  const current = useRef({ list, onSelection, onOpen });
  useEffect(() => {
    current.current = { list, onSelection, onOpen };
  });

  const click = useCallback((index: number, event: MouseEvent) => {
    const { list: shown, onSelection: select, onOpen: show } = current.current;
    const track = shown.rowAt(index);
    if (!track) return;
    setActive(index);
    if (event.shiftKey) select((before) => extend(before, track.id, idsOf(shown.all())));
    else if (event.ctrlKey || event.metaKey) select((before) => toggle(before, track.id));
    else show(track);
  }, []);

  const toggleRow = useCallback((index: number) => {
    const track = current.current.list.rowAt(index);
    if (track) current.current.onSelection((before) => toggle(before, track.id));
  }, []);

  const openMenu = useCallback((track: TrackSummary, button: HTMLElement) => setMenu({ track, button }), []);

  const moveTo = (index: number) => {
    const target = Math.min(total - 1, Math.max(0, index));
    setActive(target);
    virtualizer.scrollToIndex(target, { align: "auto" });
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`#row-${target}`)?.focus({ preventScroll: true }));
  };

  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as HTMLElement).closest("input:not([type=checkbox]), button")) return;
    const { startIndex, endIndex } = virtualizer.range ?? { startIndex: 0, endIndex: 0 };
    const page = Math.max(1, endIndex - startIndex - 1);
    const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -total, End: total };
    const step = steps[event.key];
    const track = list.rowAt(active);
    if (step !== undefined) {
      moveTo(active + step);
      const reached = list.rowAt(Math.min(total - 1, Math.max(0, active + step)));
      if (event.shiftKey && reached) onSelection((before) => extend(before.anchor ? before : toggle(before, track?.id ?? reached.id), reached.id, idsOf(list.all())));
    } else if (event.key === "Enter" && track) onOpen(track);
    else if (event.key === " " && track) onSelection((before) => toggle(before, track.id));
    else if (event.key === "F2" && track && mayEdit) setEditing(track.id);
    else if (event.key === "Delete" && track && mayEdit) props.onDelete(selection.ids.size > 0 ? [...selection.ids] : [track.id]);
    else return;
    event.preventDefault();
  };

  if (first.error && total === 0) return <ErrorState error={first.error} onRetry={() => void first.refetch()} />;
  if (first.data?.total === 0) return <LibraryEmpty showsAll={props.showsAll} mayEdit={mayEdit} />;
  return (
    <div
      role="grid"
      aria-label={t.title}
      aria-rowcount={total + 1}
      aria-multiselectable="true"
      aria-busy={first.isPending}
      onKeyDown={press}
      className="@container flex h-full min-h-0 flex-col"
    >
      <Header
        isAllSelected={selection.ids.size > 0 && list.all().every(({ id }) => selection.ids.has(id))}
        onToggleAll={() => onSelection((before) => toggleAll(before, idsOf(list.all())))}
      />
      <div ref={scroller} role="rowgroup" className="min-h-0 flex-1 overflow-y-auto overscroll-contain [scrollbar-gutter:stable]">
        <div role="presentation" className="relative" style={{ height: first.isPending ? ROW_HEIGHT * 12 : virtualizer.getTotalSize() }}>
          {first.isPending
            ? Array.from({ length: 12 }, (_, index) => <div key={index} role="row" className={cx(GRID, "border-b border-line/60")} style={{ height: ROW_HEIGHT }}><WaitingCells /></div>)
            : rows.map(({ index, start }) => {
                const track = list.rowAt(index);
                return (
                  <TrackRow
                    key={index}
                    index={index}
                    track={track}
                    isActive={index === active}
                    isOpen={track !== undefined && track.id === openTrackId}
                    isSelected={track !== undefined && selection.ids.has(track.id)}
                    isEditing={track !== undefined && track.id === editing}
                    mayEdit={mayEdit}
                    top={start}
                    onClick={click}
                    onToggle={toggleRow}
                    onHover={onHover}
                    onMenu={openMenu}
                    onEdit={setEditing}
                  />
                );
              })}
        </div>
      </div>
      {menu && <TrackMenu {...menu} mayEdit={mayEdit} onClose={() => setMenu(undefined)} onOpen={onOpen} onRename={setEditing} onDelete={props.onDelete} />}
    </div>
  );
}

function idsOf(tracks: readonly TrackSummary[]): string[] {
  return tracks.map(({ id }) => id);
}

function Header({ isAllSelected, onToggleAll }: { isAllSelected: boolean; onToggleAll: () => void }) {
  const number = cx(WIDE, "text-right");
  return (
    <div role="row" aria-rowindex={1} className={cx(GRID, "h-7 shrink-0 overflow-hidden border-b border-line text-2xs font-medium text-muted [scrollbar-gutter:stable]")}>
      <span role="columnheader" className="flex"><Checkbox label={t.selectAll} checked={isAllSelected} onChange={onToggleAll} /></span>
      <span role="columnheader"><span className="sr-only">{t.columns.status}</span></span>
      <span role="columnheader">{t.columns.title}</span>
      <span role="columnheader" className={cx(NARROW, "text-right")}>{t.columns.bpm}</span>
      <span role="columnheader" className={number}>{t.columns.bpm}</span>
      <span role="columnheader" className={number} title={t.fMeasure}>{t.columns.fMeasure}</span>
      <span role="columnheader" className={number}>{t.columns.duration}</span>
      <span role="columnheader" className={WIDE}>{t.columns.preset}</span>
      <span role="columnheader" className={WIDE}>{t.columns.tags}</span>
      <span role="columnheader" className={number}>{t.columns.updated}</span>
      <span role="columnheader" className={WIDE}><span className="sr-only">{common.actions}</span></span>
    </div>
  );
}
